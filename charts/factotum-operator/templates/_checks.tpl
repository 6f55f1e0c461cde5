{{/* What the schema cannot say of the values, and what the cluster says against them. Each message has its cure. */}}
{{- define "factotum-operator.checks" -}}
{{- include "factotum-operator.checkPorts" . }}
{{- include "factotum-operator.checkLabels" . }}
{{- include "factotum-operator.checkConsul" . }}
{{- with .Values.tls }}
{{- if and .existing .certManager.enabled }}{{ fail "tls.existing and tls.certManager.enabled exclude each other: either somebody else makes the Secret, or cert-manager does" }}{{ end }}
{{- if and .certManager.issuerRef (not .certManager.issuerRef.name) }}{{ fail "tls.certManager.issuerRef.name is missing: the issuer's name" }}{{ end }}
{{- end }}
{{- range $at, $each := .Values.extraEnv }}
{{- if has $each.name (list "POD_NAME" "POD_IP") }}{{ fail (printf "extraEnv[%d].name: %s is set by the chart" $at $each.name) }}{{ end }}
{{- end }}
{{- with .Values.metrics }}
{{- if not .enabled }}
{{- range $name, $wanted := dict "serviceMonitor" .serviceMonitor "prometheusRule" .prometheusRule }}
{{- if $wanted.enabled }}{{ fail (printf "metrics.%s.enabled needs metrics.enabled=true: there are no figures otherwise" $name) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- include "factotum-operator.checkCluster" . }}
{{- end }}

{{- define "factotum-operator.checkPorts" -}}
{{- $taken := dict "8081" "the health port" }}
{{- $wanted := list (list "claims.port" .Values.claims.port) }}
{{- if .Values.metrics.enabled }}{{ $wanted = append $wanted (list "metrics.port" .Values.metrics.port) }}{{ end }}
{{- if .Values.admission.enabled }}{{ $wanted = append $wanted (list "admission.port" .Values.admission.port) }}{{ end }}
{{- range $wanted }}
{{- $value := index . 0 }}{{ $port := index . 1 | int | toString }}
{{- with get $taken $port }}{{ fail (printf "%s: %s is %s already, choose another port" $value $port .) }}{{ end }}
{{- $_ := set $taken $port $value }}
{{- end }}
{{- end }}

{{- define "factotum-operator.checkLabels" -}}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{- range $value, $labels := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels }}
{{- range $name, $_ := $labels }}
{{- if has $name $own }}{{ fail (printf "%s: the label %s is the chart's own" $value $name) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "factotum-operator.checkConsul" -}}
{{- with .Values.consul }}
{{- if and .enabled .address }}{{ fail "consul.enabled and consul.address exclude each other: a Consul for trying out, or the one at the address" }}{{ end }}
{{- if and .enabled (or .token.secretName .tls.enabled) }}{{ fail "consul.token and consul.tls are for the Consul at consul.address: the one of consul.enabled has neither" }}{{ end }}
{{- if and (not .tls.enabled) (or .tls.caSecretName .tls.clientSecretName .tls.serverName) }}{{ fail "consul.tls: set consul.tls.enabled=true, or leave the rest of it out" }}{{ end }}
{{- if and $.Values.gateway.consulToken.secretName (not .address) }}{{ fail "consul.address is missing: gateway.consulToken says how to get in there" }}{{ end }}
{{- if and (not .address) (or .token.secretName .tls.enabled) }}{{ fail "consul.address is missing: consul.token and consul.tls say how to get in there" }}{{ end }}
{{- if and (eq .name "factotum") (not .forceName) }}{{ fail "consul.name: old Factotum Servers share the name factotum; choose another one, or say consul.forceName=true if none uses this Consul" }}{{ end }}
{{- end }}
{{- end }}

{{/* Without a cluster (helm template) a look-up finds nothing, and nothing is said. What is rendered never depends on one. */}}
{{- define "factotum-operator.checkCluster" -}}
{{- $me := printf "%s/%s" .Release.Namespace .Release.Name }}
{{- if .Values.crds.install }}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "factotumjobs.factotum.snowplowanalytics.com" }}
{{- $owner := include "factotum-operator.owner" . }}
{{- if ne $owner $me }}
{{- fail (printf "the resource definition %s is there already, %s. Either leave it to them (--set crds.install=false), or have this release take it over, with all jobs:\n  kubectl label --overwrite crd %s app.kubernetes.io/managed-by=Helm\n  kubectl annotate --overwrite crd %s meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s\nWhere Helm then tells of a conflict with a field manager: --force-conflicts" .metadata.name (ternary (printf "of the release %s" $owner) "by other means than Helm" (ne $owner "")) .metadata.name .metadata.name $.Release.Name $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.namespaces (lookup "v1" "Namespace" "" "kube-system") }}
{{- range $at, $namespace := .Values.namespaces }}
{{- if and (ne $namespace $.Release.Namespace) (not (lookup "v1" "Namespace" "" $namespace)) }}
{{- fail (printf "namespaces[%d]: there is no namespace %s, and the operator's rights are granted inside of it: kubectl create namespace %s" $at $namespace $namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.rbac.create }}
{{- range (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "").items }}
{{- $owner := include "factotum-operator.owner" . }}
{{- if and $owner (ne $owner $me) (eq (get (.metadata.labels | default dict) "app.kubernetes.io/name") $.Chart.Name) }}
{{- include "factotum-operator.checkOther" (list $ . $owner) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Two operators must not run the same jobs, nor share names outside of namespaces. */}}
{{- define "factotum-operator.checkOther" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}{{ $owner := index . 2 }}
{{- if eq $role.metadata.name (include "factotum-operator.fullname" $root) }}
{{- fail (printf "the release %s uses the name %s outside of namespaces: choose another release name, or set fullnameOverride" $owner $role.metadata.name) }}
{{- end }}
{{- with get ($role.metadata.annotations | default dict) "factotum.snowplowanalytics.com/serves" }}
{{- if or (eq . "*") (not $root.Values.namespaces) }}
{{- fail (printf "the release %s runs the jobs of %s: two operators must not run the same ones. Give both releases lists of namespaces that have none in common (namespaces)" $owner (ternary "all namespaces" (printf "the namespaces %s" .) (eq . "*"))) }}
{{- end }}
{{- range splitList "," . }}
{{- if has . $root.Values.namespaces }}{{ fail (printf "namespaces: the release %s runs the jobs of %s already" $owner .) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The release that an object belongs to; empty: none. */}}
{{- define "factotum-operator.owner" -}}
{{- $notes := .metadata.annotations | default dict }}
{{- if eq (get (.metadata.labels | default dict) "app.kubernetes.io/managed-by") "Helm" }}
{{- with get $notes "meta.helm.sh/release-name" }}{{ get $notes "meta.helm.sh/release-namespace" }}/{{ . }}{{ end }}
{{- end }}
{{- end }}
