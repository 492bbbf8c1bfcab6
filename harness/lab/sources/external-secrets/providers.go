// Package register says where secrets may come from: here from a cluster, as the other providers bring every cloud's SDK along.
package register

import _ "github.com/external-secrets/external-secrets/pkg/provider/kubernetes"
