{{- define "factotum-operator.consulAddress" -}}
{{- if .Values.consul.address }}{{ .Values.consul.address }}
{{- else if .Values.consul.enabled }}{{ include "factotum-operator.fullname" . }}-consul.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8500{{ end }}
{{- end }}

{{/* Whether credentials for Consul come as files. */}}
{{- define "factotum-operator.consulFiles" -}}
{{- with .Values.consul }}{{ if or .token.secretName .tls.caSecretName .tls.clientSecretName }}yes{{ end }}{{ end }}
{{- end }}

{{- define "factotum-operator.consulArguments" -}}
{{- with include "factotum-operator.consulAddress" . -}}
- {{ include "factotum-operator.flag" (list "consul-address" .) }}
- {{ include "factotum-operator.flag" (list "consul-namespace" $.Values.consul.namespace) }}
- {{ include "factotum-operator.flag" (list "consul-kubernetes-namespace" $.Values.consul.kubernetesNamespace) }}
{{- with $.Values.consul.name }}
- {{ include "factotum-operator.flag" (list "consul-name" .) }}
{{- end }}
{{- if $.Values.consul.forceName }}
- --force-consul-name
{{- end }}
{{- if $.Values.consul.token.secretName }}
- --consul-token-file=/consul/token
{{- end }}
{{- with $.Values.consul.tls }}
{{- if .enabled }}
- --consul-tls
{{- if .caSecretName }}
- --consul-ca-file=/consul/ca.crt
{{- end }}
{{- if .clientSecretName }}
- --consul-cert-file=/consul/tls.crt
- --consul-key-file=/consul/tls.key
{{- end }}
{{- with .serverName }}
- {{ include "factotum-operator.flag" (list "consul-tls-name" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The kubelet renews what is mounted so, and the operator reads it again. */}}
{{- define "factotum-operator.consulVolume" -}}
{{- if include "factotum-operator.consulFiles" . -}}
- name: consul
  projected:
    sources:
      {{- with .Values.consul.token }}
      {{- if .secretName }}
      - secret:
          name: {{ .secretName | quote }}
          items: [{key: {{ .secretKey | toJson }}, path: token}]
      {{- end }}
      {{- end }}
      {{- with .Values.consul.tls }}
      {{- if .caSecretName }}
      - secret:
          name: {{ .caSecretName | quote }}
          items: [{key: {{ .caSecretKey | toJson }}, path: ca.crt}]
      {{- end }}
      {{- if .clientSecretName }}
      - secret:
          name: {{ .clientSecretName | quote }}
          items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
