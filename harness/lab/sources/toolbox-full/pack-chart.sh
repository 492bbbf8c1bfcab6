#!/bin/bash
# pack-chart.sh INSTALL_YAML SERVICE_MONITOR_YAML VERSION TARGET_FOLDER
# Upstream publishes the charts of the operator and of a FluxInstance to a registry only; its module carries no copy. This packs
# two of the same names, the operator's from its install manifests and its ServiceMonitor, so that `helm install` and HelmReleases
# can be tried without that registry.
set -euo pipefail
install=$1 monitor=$2 version=$3 target=$4
helm package "$(dirname "$0")/chart-instance" --version "$version" --app-version "$version" --destination "$target"
chart=$(mktemp -d)/flux-operator
cp -r "$(dirname "$0")/chart" "$chart"
mkdir -p "$chart/templates"
{
  echo '{{- if .Values.serviceMonitor.create }}'
  sed 's/^\( *\)- flux-system$/\1- {{ .Release.Namespace }}/
    s/^\( *\)- targetPort: .*/&\n\1  interval: {{ .Values.serviceMonitor.interval }}\n\1  scrapeTimeout: {{ .Values.serviceMonitor.scrapeTimeout }}/' \
    "$monitor"
  echo '{{- end }}'
} > "$chart/templates/servicemonitor.yaml"
image='{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "v%s" .Chart.AppVersion) }}'
awk -v image="$image" -v folder="$chart/templates" '
  function flush() {
    if (kind == "CustomResourceDefinition") {
      # As upstream: a release that goes leaves them, and with them everything that Flux manages.
      sub(/\nmetadata:\n/, "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n", text)
      sub(/\n  annotations:\n    helm.sh\/resource-policy: keep\n  annotations:\n/, "\n  annotations:\n    helm.sh/resource-policy: keep\n", text)
      printf "{{- if .Values.installCRDs }}\n---\n%s{{- end }}\n", text > (folder "/crds.yaml")
    } else if (kind != "Namespace" && kind != "") {
      gsub(/namespace: flux-system/, "namespace: {{ .Release.Namespace }}", text)
      printf "---\n%s", text > (folder "/operator.yaml")
    }
    text = ""; kind = ""
  }
  /^---$/ { flush(); next }
  /^kind: / { kind = $2 }
  kind == "Deployment" && /^ +image: / { sub(/image: .*/, "image: \"" image "\"") }
  kind == "Deployment" && /^ +imagePullPolicy: / { sub(/imagePullPolicy: .*/, "imagePullPolicy: {{ .Values.image.pullPolicy }}") }
  kind == "Deployment" && /^      serviceAccountName: / {
    $0 = "      {{- with .Values.image.imagePullSecrets }}\n      imagePullSecrets: {{ toYaml . | nindent 8 }}\n      {{- end }}\n" $0
  }
  { text = text $0 "\n" }
  END { flush() }' "$install"
helm package "$chart" --version "$version" --app-version "$version" --destination "$target"
