{{- define "factotum-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "factotum-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "factotum-operator.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* Labels that select Pods: they never change. */}}
{{- define "factotum-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "factotum-operator.labels" -}}
{{ include "factotum-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "factotum-operator.image" -}}
{{ .image.repository }}:{{ .image.tag | default .default }}
{{- end }}

{{- define "factotum-operator.claimsUrl" -}}
{{- if .Values.claims.url }}{{ .Values.claims.url }}
{{- else }}https://{{ include "factotum-operator.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}.:{{ .Values.claims.port }}{{ end }}
{{- end }}

{{- define "factotum-operator.tlsSecret" -}}
{{ .Values.tls.secretName | default (printf "%s-tls" (include "factotum-operator.fullname" .)) }}
{{- end }}

{{/* Whether the certificates are somebody else's: then they come as files. */}}
{{- define "factotum-operator.tlsFiles" -}}
{{- if or .Values.tls.existing .Values.tls.certManager.enabled }}yes{{ end }}
{{- end }}

{{- define "factotum-operator.consulAddress" -}}
{{- if .Values.consul.address }}{{ .Values.consul.address }}
{{- else if .Values.consul.enabled }}{{ include "factotum-operator.fullname" . }}-consul.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8500{{ end }}
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
