package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const deployments = "../../deploy"

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	must(t, err)
	return string(text)
}

// serveFlags are the flags of `wardkey serve`.
func serveFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	new(config).flags(f)
	return f
}

// TestDeployedFlags holds that every flag and variable in deploy/ and in the guide for several nodes
// is one of `wardkey serve`.
func TestDeployedFlags(t *testing.T) {
	known := map[string]bool{"WARDKEY_MASTER_KEY": true}
	serveFlags().VisitAll(func(f *pflag.Flag) {
		known["--"+f.Name] = true
		known["WARDKEY_"+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = true
	})
	for _, foreign := range []string{"--from", "--build", "--build-arg", "--tags", "--always", "--chown", "--now", "--tail", "--status"} {
		known[foreign] = true // of docker, git, systemctl, kubectl and wardkey migrate
	}
	words := regexp.MustCompile(`\bWARDKEY_[A-Z_]+|(?:^|[\s"'(` + "`" + `])--[a-z][a-z-]+`)
	found := 0
	check := func(path string) {
		for _, word := range words.FindAllString(read(t, path), -1) {
			word = strings.TrimLeft(word, " \t\n\"'(`")
			if found++; !known[word] && !strings.HasPrefix(word, "WARDKEY_TEST_") {
				t.Errorf("%s has %s, which nobody knows", path, word)
			}
		}
	}
	must(t, filepath.WalkDir(deployments, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			check(path)
		}
		return err
	}))
	check("../../docs/guides/nodes.md")
	if found < 40 {
		t.Errorf("only %d flags and variables were found", found)
	}
}

// TestDeployedVersions holds that the image is built with the Go of go.mod, static, and runs as nobody.
func TestDeployedVersions(t *testing.T) {
	dockerfile := read(t, deployments, "Dockerfile")
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	for _, want := range []string{"FROM golang:" + language + " AS build", "CGO_ENABLED=0", ":nonroot\n", "\nUSER nonroot:nonroot\n", "-X main.version=$VERSION"} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile lacks %q", want)
		}
	}
	if regexp.MustCompile(`(?m)^(HEALTHCHECK|RUN .*(apt|curl))`).MatchString(dockerfile) {
		t.Error("the Dockerfile has a HEALTHCHECK, for which there is nothing in the image, or installs something")
	}
}

// patience checks that a node is left as much time to stop as it takes.
func patience(t *testing.T, where, delay, killed string) {
	t.Helper()
	lingers, err := time.ParseDuration(delay)
	must(t, err)
	if !strings.HasSuffix(killed, "s") {
		killed += "s"
	}
	ends, err := time.ParseDuration(killed)
	must(t, err)
	const last = 10 * time.Second // for an alert on its way, and meanwhile what was counted
	if ends <= lingers+drainTimeout+last {
		t.Errorf("%s kills a node after %s, which serves on for %s and then takes up to %s", where, ends, lingers, drainTimeout+last)
	}
}

// TestCompose holds that the two nodes are equal, locked down, and given the time to stop.
func TestCompose(t *testing.T) {
	type service struct {
		Environment map[string]string
		StopGrace   string   `yaml:"stop_grace_period"`
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		Volumes     []string
	}
	var file struct{ Services map[string]service }
	must(t, yaml.Unmarshal([]byte(read(t, deployments, "compose.yaml")), &file))
	balancer := read(t, deployments, "haproxy.cfg")
	for _, name := range []string{"one", "two"} {
		node := file.Services[name]
		if len(node.Environment) == 0 || !node.ReadOnly || strings.Join(node.CapDrop, "") != "ALL" || len(node.Volumes) != 1 {
			t.Errorf("node %s: %+v", name, node)
		}
		patience(t, "compose.yaml", node.Environment["WARDKEY_SHUTDOWN_DELAY"], node.StopGrace)
		if !strings.Contains(balancer, "server "+name+" "+name+":8080") {
			t.Errorf("the balancer does not know node %s", name)
		}
	}
	if file.Services["one"].Volumes[0] == file.Services["two"].Volumes[0] {
		t.Error("both nodes write one journal")
	}
}

func TestService(t *testing.T) {
	unit := read(t, deployments, "wardkey.service")
	stop := regexp.MustCompile(`(?m)^TimeoutStopSec=(\d+)$`).FindStringSubmatch(unit)
	patience(t, "wardkey.service", balancerDelay.String(), stop[1])
	for _, want := range []string{"DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "SystemCallFilter=@system-service", "ExecReload="} {
		if !strings.Contains(unit, "\n"+want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
	if strings.Contains(unit, "\nProcSubset=") {
		t.Error("the unit hides from Go how many connections may wait, which stands in /proc/sys/net/core/somaxconn")
	}
}

// render renders a template of the chart with the few functions of Helm that it uses.
func render(t *testing.T, name string, values map[string]any) map[string]any {
	t.Helper()
	root := template.New("")
	functions := template.FuncMap{
		"quote":   func(v any) string { return strconv.Quote(fmt.Sprint(v)) },
		"default": func(otherwise, v any) any { return map[bool]any{true: otherwise, false: v}[v == nil || v == ""] },
		"join": func(separator string, list []any) string {
			return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(list)), separator), "[]")
		},
		"nindent": func(n int, text string) string {
			return "\n" + strings.Repeat(" ", n) + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+strings.Repeat(" ", n))
		},
		"toYaml": func(v any) (string, error) { text, err := yaml.Marshal(v); return string(text), err },
		"required": func(message string, v any) any {
			if v == nil || v == "" {
				t.Errorf("%s: %s", name, message)
			}
			return v
		},
		"include": func(name string, v any) (string, error) {
			var text bytes.Buffer
			err := root.ExecuteTemplate(&text, name, v)
			return text.String(), err
		},
	}
	for _, file := range []string{"_names.tpl", name} {
		template.Must(root.New(file).Funcs(functions).Parse(read(t, deployments, "chart/templates", file)))
	}
	var chart map[string]any
	must(t, yaml.Unmarshal([]byte(read(t, deployments, "chart/Chart.yaml")), &chart))
	var text bytes.Buffer
	must(t, root.ExecuteTemplate(&text, name, map[string]any{
		"Values": values, "Release": map[string]any{"Name": "auth", "Namespace": "default"},
		"Chart": map[string]any{"Name": chart["name"], "AppVersion": chart["appVersion"]},
	}))
	var made map[string]any
	if err := yaml.Unmarshal(text.Bytes(), &made); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, &text)
	}
	return made
}

// within walks down a document of YAML: names, and numbers of places in lists.
func within(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				return nil
			}
			v = list[step]
		}
	}
	return v
}

// TestChart holds that the templates are YAML, with and without TLS and Secrets of one's own, and
// what a pod must have.
func TestChart(t *testing.T) {
	for name, own := range map[string]string{
		"plain":  `{issuer: "https://auth.example.com", database: {url: "postgres://a/b"}, masterKey: {value: "AAAA"}}`,
		"secure": `{issuer: "https://auth.example.com", tlsSecret: tls, audiences: ["https://a", "https://b"], trustedProxies: ["10.0.0.0/8"], database: {existingSecret: db, existingSecretKey: url}, masterKey: {existingSecret: mk, existingSecretKey: key}}`,
	} {
		var values map[string]any
		must(t, yaml.Unmarshal([]byte(read(t, deployments, "chart/values.yaml")), &values))
		must(t, yaml.Unmarshal([]byte(own), &values))
		pod := within(t, render(t, "deployment.yaml", values), "spec", "template", "spec")
		container := within(t, pod, "containers", 0)
		scheme := map[string]string{"plain": "HTTP", "secure": "HTTPS"}[name]
		for _, tt := range []struct{ got, want any }{
			{within(t, pod, "automountServiceAccountToken"), false},
			{within(t, pod, "securityContext", "runAsNonRoot"), true},
			{within(t, pod, "securityContext", "seccompProfile", "type"), "RuntimeDefault"},
			{within(t, container, "securityContext", "readOnlyRootFilesystem"), true},
			{within(t, container, "securityContext", "allowPrivilegeEscalation"), false},
			{within(t, container, "securityContext", "capabilities", "drop", 0), "ALL"},
			{within(t, container, "image"), "wardkey:dev"},
			{within(t, container, "readinessProbe", "httpGet", "path"), "/readyz"},
			{within(t, container, "readinessProbe", "httpGet", "scheme"), scheme},
			{within(t, container, "livenessProbe", "httpGet", "path"), "/healthz"},
			{within(t, container, "startupProbe", "httpGet", "path"), "/healthz"},
			{within(t, render(t, "poddisruptionbudget.yaml", values), "spec", "maxUnavailable"), 1},
			{within(t, render(t, "poddisruptionbudget.yaml", values), "spec", "minAvailable"), nil}, // with one replica, no machine could be drained
			{within(t, render(t, "service.yaml", values), "spec", "ports", 0, "targetPort"), "http"},
			{within(t, render(t, "secret.yaml", values), "stringData", "master.key"), map[string]any{"plain": "AAAA", "secure": nil}[name]},
		} {
			if tt.got != tt.want {
				t.Errorf("%s: got %v, want %v in %v", name, tt.got, tt.want, container)
			}
		}
		patience(t, "the chart", values["shutdownDelay"].(string), fmt.Sprint(values["terminationGracePeriodSeconds"]))
	}
}
