// The registry with what the lab configures alone: files as storage and htpasswd for access. The drivers left out bring the
// SDKs of S3, Azure and Google's cloud along, more than half of the work to compile it.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
