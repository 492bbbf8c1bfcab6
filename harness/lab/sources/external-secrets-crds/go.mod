module flux-ferry/sources/external-secrets-crds

go 1.24

require github.com/external-secrets/external-secrets v0.18.2
