{{- define "factotum-operator.consulAddress" -}}
{{- if .Values.consul.address }}{{ .Values.consul.address }}
{{- else if .Values.consul.enabled }}{{ include "factotum-operator.fullname" . }}-consul.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8500{{ end }}
{{- end }}

{{/* Where the job server's token is: it may have one of its own. */}}
{{- define "factotum-operator.gatewayToken" -}}
{{- with .Values }}{{ ne .gateway.consulToken.secretName "" | ternary .gateway.consulToken .consul.token | toYaml }}{{ end }}
{{- end }}

{{/* Operator and job server come to Consul in the same way, by whose token may differ: what follows is given the root, and
where the token is. */}}

{{/* Whether credentials for Consul come as files. */}}
{{- define "factotum-operator.consulFiles" -}}
{{- $token := index . 1 }}
{{- with (index . 0).Values.consul.tls }}{{ if or $token.secretName .caSecretName .clientSecretName }}yes{{ end }}{{ end }}
{{- end }}

{{- define "factotum-operator.consulArguments" -}}
{{- $token := index . 1 }}
{{- with index . 0 }}
{{- $root := . }}
{{- with include "factotum-operator.consulAddress" . -}}
- {{ include "factotum-operator.flag" (list "consul-address" .) }}
- {{ include "factotum-operator.flag" (list "consul-namespace" $root.Values.consul.namespace) }}
- {{ include "factotum-operator.flag" (list "consul-kubernetes-namespace" $root.Values.consul.kubernetesNamespace) }}
{{- with $root.Values.consul.name }}
- {{ include "factotum-operator.flag" (list "consul-name" .) }}
{{- end }}
{{- if $token.secretName }}
- --consul-token-file=/consul/token
{{- end }}
{{- with $root.Values.consul.tls }}
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
{{- end }}

{{/* The kubelet renews what is mounted so, and it is read again. */}}
{{- define "factotum-operator.consulVolume" -}}
{{- $token := index . 1 }}
{{- if include "factotum-operator.consulFiles" . -}}
- name: consul
  projected:
    sources:
      {{- with $token }}
      {{- if .secretName }}
      - secret:
          name: {{ .secretName | quote }}
          items: [{key: {{ .secretKey | toJson }}, path: token}]
      {{- end }}
      {{- end }}
      {{- with (index . 0).Values.consul.tls }}
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
