// Package register says who may make secrets: here nobody.
package register
