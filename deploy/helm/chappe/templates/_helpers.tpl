{{- define "chappe.labels" -}}
app.kubernetes.io/name: chappe
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "chappe.metadata" -}}
labels:
  {{- include "chappe.labels" . | nindent 2 }}
  app.kubernetes.io/part-of: chappe
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "chappe.image" -}}
{{- with .Values.image -}}
{{ if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- define "chappe.settings" -}}
{{- $worker := merge (dict "scheduler" (printf "tcp://%s:7331" .Release.Name)) (.Values.settings.worker | default dict) -}}
{{- toYaml (merge (dict "worker" $worker) .Values.settings) -}}
{{- end }}

{{- define "chappe.podTemplate" -}}
{{- toYaml (merge (dict "apiVersion" "v1" "kind" "Pod") .Values.pods.template) -}}
{{- end }}

{{- define "chappe.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "chappe.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* A Secret's files can be read by the group; a key must be its owner's alone. */}}
{{- define "chappe.keys" -}}
- name: keys
  image: {{ include "chappe.image" . }}
  command: [sh, -c, "umask 077; mkdir -p /var/lib/chappe/keys && cp -L /keys/* /var/lib/chappe/keys/"]
  securityContext:
    {{- include "chappe.containerSecurity" . | nindent 4 }}
  resources:
    requests: {cpu: 10m, memory: 32Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: state, mountPath: /var/lib/chappe}
    - {name: keys, mountPath: /keys, readOnly: true}
{{- end }}

{{- define "chappe.pod" -}}
enableServiceLinks: false
securityContext:
  {{- include "chappe.podSecurity" .root | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
