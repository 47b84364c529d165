package recipes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soon is more than a second, for which the examples keep keys here, on a machine that does other
// things too.
const soon = 10 * time.Second

// recipes are the columns of the matrix.
var recipes = []recipe{
	{
		name: "verify", page: "go-verify.md", needs: []string{"go"}, version: func(*testing.T) []string { return []string{"this one"} },
		begin: program("verify"), heard: time.Minute, polls: true, // it asks no more than every 30 seconds
	},
	{
		name: "go-oidc", page: "go-oidc.md", needs: []string{"go"}, version: module("oidc", "github.com/coreos/go-oidc/v3"),
		begin: program("oidc"), heard: soon,
	},
	{
		name: "golang-jwt, keyfunc", page: "golang-jwt.md", needs: []string{"go"}, version: module("keyfunc", "github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"),
		begin: program("keyfunc"), heard: soon,
	},
	{
		name: "jose", page: "node-jose.md", needs: []string{"node", examples + "/node/node_modules/jose"}, version: npm("jose"),
		begin: script("node", "jose.mjs"), heard: soon,
	},
	{
		name: "jose, status list", page: "node-jose-status.md", needs: []string{"node", examples + "/node/node_modules/jose"}, version: npm("jose"),
		begin: script("node", "jose-status.mjs"), heard: soon, polls: true,
	},
	{
		name: "express-oauth2-jwt-bearer", page: "node-express.md", needs: []string{"node", examples + "/node/node_modules/express"}, version: npm("express-oauth2-jwt-bearer"),
		begin: script("node", "express.mjs"), heard: soon,
	},
	{
		name: "PyJWT", page: "python-pyjwt.md", needs: []string{"/usr/lib/python3/dist-packages/jwt", "/usr/lib/python3/dist-packages/cryptography"},
		version: debian("python3-jwt"), begin: script("python", "pyjwt.py"), heard: soon,
	},
	{
		name: "JDK", page: "java-jdk.md", needs: []string{"java", "javac", gson},
		version: jdk, begin: java, heard: soon,
	},
	{
		name: "nginx, njs", page: "nginx.md", needs: []string{"/usr/sbin/nginx", "/usr/lib/nginx/modules/ngx_http_js_module.so", "/etc/ssl/certs/ca-certificates.crt"},
		version: debian("nginx", "libnginx-mod-http-js"), begin: nginx, heard: soon,
	},
	{
		name: "mod_oauth2", page: "apache-mod_oauth2.md", needs: []string{"/usr/sbin/apache2", apacheModules + "mod_oauth2.so"},
		version: debian("libapache2-mod-oauth2"), begin: apache("mod_oauth2.conf", "oauth2_module", "mod_oauth2.so"), heard: soon,
	},
	{
		name: "mod_auth_openidc", page: "apache-mod_auth_openidc.md", needs: []string{"/usr/sbin/apache2", apacheModules + "mod_auth_openidc.so"},
		version: debian("libapache2-mod-auth-openidc"), begin: apache("mod_auth_openidc.conf", "auth_openidc_module", "mod_auth_openidc.so"), heard: soon, https: true,
	},
	{
		name: "HAProxy", page: "haproxy.md", needs: []string{"/usr/sbin/haproxy", "/usr/lib/python3/dist-packages/jwt"},
		version: debian("haproxy"), begin: haproxy, heard: soon, timer: reload,
	},
}

const gson = "/usr/share/java/gson.jar"

const apacheModules = "/usr/lib/apache2/modules/"

func program(name string) func(*testing.T, place) *process {
	return func(t *testing.T, p place) *process {
		return start(t, p.dir, p.environment(), []string{filepath.Join(built, name)})
	}
}

// script starts an example for an interpreter: node, or Debian's own python with nothing but
// Debian's packages.
func script(folder, file string) func(*testing.T, place) *process {
	return func(t *testing.T, p place) *process {
		command := []string{"node", file}
		if folder == "python" {
			command = []string{"/usr/bin/python3", "-BEs", file}
		}
		return start(t, filepath.Join(examples, folder), p.environment(), command)
	}
}

// java compiles the example as it starts it.
func java(t *testing.T, p place) *process {
	return start(t, filepath.Join(examples, "java"), p.environment(), []string{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", gson, "Api.java"})
}

// jdk says the version of the java on the path.
func jdk(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "java", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))[1:2]
}

// nginx runs as one process, so that no worker outlives it.
func nginx(t *testing.T, p place) *process {
	p.expand(t, "testdata/nginx.conf", "nginx.conf")
	p.expand(t, filepath.Join(examples, "nginx/wardkey.conf.template"), "wardkey.conf")
	p.expand(t, filepath.Join(examples, "nginx/wardkey.js"), "wardkey.js")
	return start(t, p.dir, nil, []string{"/usr/sbin/nginx", "-e", "stderr", "-p", p.dir, "-c", "nginx.conf", "-g", "daemon off; master_process off;"})
}

// apache runs as one process too.
func apache(file, module, object string) func(*testing.T, place) *process {
	return func(t *testing.T, p place) *process {
		example, err := filepath.Abs(filepath.Join(examples, "apache", file))
		if err != nil {
			t.Fatal(err)
		}
		main, err := filepath.Abs("testdata/apache.conf")
		if err != nil {
			t.Fatal(err)
		}
		env := append(p.environment(), "MODULE="+module, "MODULE_FILE="+object, "EXAMPLE="+example)
		return start(t, p.dir, env, []string{"/usr/sbin/apache2", "-X", "-f", main})
	}
}

func haproxy(t *testing.T, p place) *process {
	config, err := filepath.Abs(filepath.Join(examples, "haproxy/haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	p.refresh(t, "true")
	return start(t, p.dir, p.environment(), []string{"/usr/sbin/haproxy", "-W", "-f", config})
}

// reload is what systemctl reload haproxy does, where the keys are others.
func reload(t *testing.T, p place) {
	p.refresh(t, "kill", "-USR2", strconv.Itoa(p.process.cmd.Process.Pid))
}

func (p place) refresh(t *testing.T, reload ...string) {
	t.Helper()
	script := filepath.Join(examples, "haproxy/keys")
	cmd := exec.CommandContext(t.Context(), script, append([]string{p.issuer + "/.well-known/jwks.json", p.dir}, reload...)...)
	cmd.Env = append(os.Environ(), p.environment()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
