{{/* Values that an older chart does not have: `helm upgrade --reuse-values` brings the older chart's and no others.
Each template begins with it; what stands here is what stands in values.yaml. */}}
{{- define "factotum-operator.added" -}}
fullnameOverride: ""
commonLabels: {}
runner: {resources: {}, podTemplate: {}}
podDisruptionBudget: {enabled: true, maxUnavailable: 1}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
metrics:
  serviceMonitor: {enabled: false, interval: 30s, scrapeTimeout: 10s, labels: {}}
  prometheusRule: {enabled: false, labels: {}}
  dashboard: {enabled: false, labels: {grafana_dashboard: "1"}, annotations: {}}
consul:
  token: {secretName: "", secretKey: token}
  tls: {enabled: false, caSecretName: "", caSecretKey: ca.crt, clientSecretName: "", serverName: ""}
gateway:
  enabled: false
  replicas: 2
  namespace: "default"
  port: 3000
  auth: {"enabled": true, "audience": "factotum-server"}
  consulToken: {secretName: "", secretKey: token}
  factfiles: []
  sidecars: []
  keepDays: null
  webhook: ""
  logLevel: "warn"
  service: {"type": "ClusterIP", "annotations": {}}
  ingress: {"enabled": false, "className": "", "host": "", "tlsSecretName": "", "annotations": {}}
  httpRoute: {"enabled": false, "parentRefs": [], "hostnames": []}
  allowFrom: []
  resources: {"requests": {"cpu": "100m", "memory": "192Mi", "ephemeral-storage": "64Mi"}, "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"}}
  extraArgs: []
  podAnnotations: {}
  podLabels: {}
  nodeSelector: {}
  tolerations: []
  affinity: {}
{{- end }}

{{- define "factotum-operator.complete" -}}
{{- include "factotum-operator.fill" (list .Values (include "factotum-operator.added" . | fromYaml)) }}
{{- end }}

{{/* Put into the first of two maps what only the second one has. Neither `merge` nor `default` will do: to them, false is nothing. */}}
{{- define "factotum-operator.fill" -}}
{{- $into := index . 0 }}
{{- range $key, $value := index . 1 }}
{{- if not (hasKey $into $key) }}{{ $_ := set $into $key $value }}
{{- else if and (kindIs "map" $value) (kindIs "map" (index $into $key)) }}{{ include "factotum-operator.fill" (list (index $into $key) $value) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A name that Services may have, too: no dots, a letter first, room for what is put behind it. */}}
{{- define "factotum-operator.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else }}
{{- $name := contains .Chart.Name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) | replace "." "-" }}
{{- if regexMatch "^[0-9]" $name }}{{ $name = printf "r%s" $name }}{{ end }}
{{- if gt (len $name) 52 }}{{ $name = printf "%s-%s" ($name | trunc 43 | trimSuffix "-") ($name | sha256sum | trunc 8) }}{{ end }}
{{- $name }}
{{- end }}
{{- end }}

{{- define "factotum-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "factotum-operator.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* Labels that select Pods: they never change. */}}
{{- define "factotum-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "factotum-operator.labels" -}}
{{ include "factotum-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "factotum-operator.image" -}}
{{- $digest := .image.digest }}
{{- .image.repository }}
{{- if or .image.tag (not $digest) }}:{{ .image.tag | default .default }}{{ end }}
{{- with $digest }}@{{ . }}{{ end }}
{{- end }}

{{/* A flag and its value as YAML, whatever the value holds. The kubelet fills in $(NAME) and takes $$ for $. */}}
{{- define "factotum-operator.flag" -}}
{{- printf "--%s=%s" (index . 0) (index . 1 | toString | replace "$" "$$") | toJson }}
{{- end }}

{{- define "factotum-operator.claimsUrl" -}}
{{- if .Values.claims.url }}{{ .Values.claims.url }}
{{- else }}https://{{ include "factotum-operator.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}.:{{ .Values.claims.port | int }}{{ end }}
{{- end }}

{{- define "factotum-operator.tlsSecret" -}}
{{ .Values.tls.secretName | default (printf "%s-tls" (include "factotum-operator.fullname" .)) }}
{{- end }}

{{/* Whether the certificates are somebody else's: then they come as files. */}}
{{- define "factotum-operator.tlsFiles" -}}
{{- if or .Values.tls.existing .Values.tls.certManager.enabled }}yes{{ end }}
{{- end }}

{{/* What the operator may do in the namespaces that it serves. */}}
{{- define "factotum-operator.namespacedRules" -}}
- apiGroups: [factotum.snowplowanalytics.com] # delete: finished jobs whose time is over
  resources: [factotumjobs]
  verbs: [get, list, watch, delete]
- apiGroups: [factotum.snowplowanalytics.com]
  resources: [factotumjobs/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""] # factfileFrom
  resources: [configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch] # what is told again is counted
{{- end }}

{{/* The same restrictions for every container of this chart. */}}
{{- define "factotum-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "factotum-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
