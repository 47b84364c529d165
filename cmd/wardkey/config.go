package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/tokens"
)

// A config is how a server is to run. Each member is a flag and an environment variable.
type config struct {
	listen        string
	adminListen   string
	metricsListen string
	traced        bool // the environment says where to
	issuer        string
	dataDir       string
	database      string
	masterKeyFile string
	audiences     []string
	audienceAlgs  []string
	audienceSCP   []string
	signingAlg    string
	rsaBits       int
	lifetime      time.Duration
	statusTTL     time.Duration
	tlsCert       string
	tlsKey        string
	acmeDomains   []string
	acmeEmail     string
	acmeDirectory string
	acmeListen    string
	plainHTTP     bool
	proxies       []string // that are trusted
	bootstrapFile string
	demo          bool
	logLevel      string
	logFormat     string
	shutdownDelay time.Duration
	limits        limitConfig
	disuse        disuseConfig
	leaks         leakConfig
	alerts        alertConfig

	masterKey string // WARDKEY_MASTER_KEY; never a flag, because others see those
}

// flags declares every flag with its default.
func (c *config) flags(f *pflag.FlagSet) {
	f.StringVar(&c.listen, "listen", "127.0.0.1:8080", "address of the public endpoints, admin API and pages")
	f.StringVar(&c.adminListen, "admin-listen", "", "address of the admin API and pages, to have them apart")
	f.StringVar(&c.metricsListen, "metrics-listen", "", "address of GET /metrics for Prometheus, without TLS, for it holds no secret (default off)")
	f.StringVar(&c.issuer, "issuer", "", "the issuer URL, no trailing slash (default http:// + the listen address)")
	f.StringVar(&c.dataDir, "data-dir", "./data", "where the embedded database and the generated master key live")
	f.StringVar(&c.database, "database", "", "sqlite:PATH or postgres://… (default sqlite:<data-dir>/wardkey.db)")
	f.StringVar(&c.masterKeyFile, "master-key-file", "", "32 bytes, base64 (default <data-dir>/master.key, made if absent with the embedded database); WARDKEY_MASTER_KEY holds the key itself")
	f.StringArrayVar(&c.audiences, "audience", nil, "an API that tokens may be for; may repeat, the first is the default (default the issuer)")
	f.StringArrayVar(&c.audienceAlgs, "audience-alg", nil, "AUDIENCE=ALG: sign tokens for an audience with another algorithm; may repeat")
	f.StringArrayVar(&c.audienceSCP, "audience-scp", nil, "AUDIENCE: have its tokens carry the values of scope as an array as well, in scp, for software that cannot look inside a text; may repeat")
	f.StringVar(&c.signingAlg, "signing-alg", string(tokens.ES256), "what tokens are signed with: "+strings.Join(tokens.Algs, ", "))
	f.IntVar(&c.rsaBits, "rsa-bits", 2048, "size of new RS256 keys: 2048 or 3072")
	f.DurationVar(&c.lifetime, "token-lifetime", 15*time.Minute, "how long a token lives, where its client has no lifetime of its own")
	f.DurationVar(&c.statusTTL, "status-ttl", 10*time.Second, "how often services should look at the status lists, and so how soon they hear of a revocation: 1s to 5m")
	f.StringVar(&c.tlsCert, "tls-cert", "", "certificate file (PEM); an address that is not loopback needs one, or --plain-http")
	f.StringVar(&c.tlsKey, "tls-key", "", "private key file (PEM) of the certificate")
	c.acmeFlags(f)
	f.BoolVar(&c.plainHTTP, "plain-http", false, "serve without TLS on an address that is not loopback, behind a proxy that ends TLS")
	f.StringArrayVar(&c.proxies, "trusted-proxy", nil, "address or network (CIDR) of a proxy whose X-Forwarded-For is believed; may repeat")
	f.StringVar(&c.bootstrapFile, "bootstrap-file", "", "on the first start, write the first credentials there (JSON, mode 0600) instead of printing them")
	f.BoolVar(&c.demo, "demo", false, "on the first start, make Sections, keyspaces and a client to play with, and print a curl that gets its token")
	f.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&c.logFormat, "log-format", "", "text or json (default text on a terminal, json otherwise)")
	c.shutdownFlags(f)
	c.limits.flags(f)
	c.disuse.flags(f)
	c.leaks.flags(f)
	c.alerts.flags(f)
}

// fromEnvironment gives every flag that was not set the value of its environment variable:
// --data-dir is WARDKEY_DATA_DIR. Lists are separated by commas.
func (c *config) fromEnvironment(f *pflag.FlagSet, getenv func(string) string) error {
	c.masterKey, c.traced = getenv("WARDKEY_MASTER_KEY"), traced(getenv)
	c.alerts.smtpPassword = getenv("WARDKEY_SMTP_PASSWORD")
	var failed error
	f.VisitAll(func(flag *pflag.Flag) {
		name := "WARDKEY_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := getenv(name)
		if value == "" || flag.Changed {
			return
		}
		values := []string{value}
		if flag.Value.Type() == "stringArray" {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := f.Set(flag.Name, strings.TrimSpace(v)); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return failed
}

// complete fills in the defaults that depend on others, and returns a usage error that says what
// to change. Bound is the address that the server listens on, once the port is known.
func (c *config) complete(bound string) error {
	if c.issuer == "" {
		c.issuer = c.defaultIssuer(bound)
	}
	if c.database == "" {
		c.database = "sqlite:" + filepath.Join(c.dataDir, "wardkey.db")
	}
	if c.masterKeyFile == "" {
		c.masterKeyFile = filepath.Join(c.dataDir, "master.key")
	}
	if len(c.audiences) == 0 {
		c.audiences = []string{c.issuer}
	}
	for _, check := range []func() error{c.checkIssuer, c.checkAudiences, c.checkSCP, c.checkSigning} {
		if err := check(); err != nil {
			return usageError{err}
		}
	}
	return nil
}

func (c *config) defaultIssuer(bound string) string {
	if len(c.acmeDomains) > 0 {
		return "https://" + c.acmeDomains[0]
	}
	scheme := "http://"
	if c.secure() {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(bound)
	if err == nil && isLoopback(host) {
		bound = net.JoinHostPort("localhost", port)
	}
	return scheme + bound
}

func (c *config) checkIssuer() error {
	u, err := url.Parse(c.issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--issuer must be a URL like https://auth.example.com, not %q", c.issuer)
	case strings.HasSuffix(c.issuer, "/"):
		return fmt.Errorf("--issuer must have no trailing slash: write %q", strings.TrimRight(c.issuer, "/"))
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.ContainsAny(c.issuer, "?#"):
		return fmt.Errorf("--issuer must have no user, query or fragment, but is %q", c.issuer)
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.plainHTTP:
		return fmt.Errorf("--issuer must be https:// unless its host is loopback, but is %q; or say --plain-http", c.issuer)
	}
	return nil
}

func (c *config) adminAudience() string { return c.issuer + "/admin" }

func (c *config) checkAudiences() error {
	for i, audience := range c.audiences {
		u, err := url.Parse(audience)
		switch {
		case err != nil || !u.IsAbs() || strings.Contains(audience, "#"):
			return fmt.Errorf("--audience must be an absolute URI without a fragment, like https://api.example.com, not %q", audience)
		case audience == c.adminAudience():
			return fmt.Errorf("--audience must not be %q: that is the admin API's own", audience)
		case slices.Contains(c.audiences[:i], audience):
			return fmt.Errorf("--audience %q is given twice", audience)
		}
	}
	return nil
}

// checkSCP refuses an --audience-scp that is no audience.
func (c *config) checkSCP() error {
	for _, audience := range c.audienceSCP {
		if !slices.Contains(c.audiences, audience) {
			return fmt.Errorf("--audience-scp must be one of the --audience values, not %q", audience)
		}
	}
	return nil
}

// trustedProxies are the networks of --trusted-proxy.
func (c *config) trustedProxies() (trusted []netip.Prefix, err error) {
	for _, text := range c.proxies {
		prefix, err := netip.ParsePrefix(text)
		if address, failed := netip.ParseAddr(text); failed == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, usagef("--trusted-proxy %q is neither an address nor a network, as 10.0.0.0/8", text)
		}
		trusted = append(trusted, prefix)
	}
	return trusted, nil
}

func (c *config) checkSigning() error {
	if !slices.Contains(tokens.Algs, c.signingAlg) {
		return fmt.Errorf("--signing-alg must be one of %s, not %q", strings.Join(tokens.Algs, ", "), c.signingAlg)
	}
	if c.rsaBits != 2048 && c.rsaBits != 3072 {
		return fmt.Errorf("--rsa-bits must be 2048 or 3072, not %d", c.rsaBits)
	}
	if c.lifetime < clients.MinTokenLifetime || c.lifetime > clients.MaxTokenLifetime {
		return fmt.Errorf("--token-lifetime must be 1m to 24h, not %s", c.lifetime)
	}
	if c.statusTTL < time.Second || c.statusTTL > 5*time.Minute {
		return fmt.Errorf("--status-ttl must be 1s to 5m, not %s", c.statusTTL)
	}
	_, err := c.algsByAudience()
	return err
}

func (c *config) algsByAudience() (map[string]tokens.Alg, error) {
	algs := map[string]tokens.Alg{}
	for _, pair := range c.audienceAlgs {
		i := strings.LastIndex(pair, "=")
		if i < 0 || !slices.Contains(c.audiences, pair[:i]) || !slices.Contains(tokens.Algs, pair[i+1:]) {
			return nil, fmt.Errorf("--audience-alg must be AUDIENCE=ALG with one of the --audience values and one of %s, not %q", strings.Join(tokens.Algs, ", "), pair)
		}
		algs[pair[:i]] = tokens.Alg(pair[i+1:])
	}
	return algs, nil
}

// checkListen refuses to serve secrets over a network without TLS, unless told so in words.
func (c *config) checkListen() error {
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return usagef("--tls-cert and --tls-key go together; give both")
	}
	if err := errors.Join(c.checkACME(), c.checkShutdown(), c.checkMetrics(), c.limits.check(), c.disuse.check(), c.leaks.check(), c.alerts.check()); err != nil {
		return err
	}
	for _, address := range []struct{ flag, value string }{{"--listen", c.listen}, {"--admin-listen", c.adminListen}} {
		if address.value == "" {
			continue
		}
		host, _, err := net.SplitHostPort(address.value)
		if err != nil {
			return usagef("%s must be HOST:PORT, like 127.0.0.1:8080, not %q", address.flag, address.value)
		}
		if !isLoopback(host) && !c.secure() && !c.plainHTTP {
			return usagef("%s %s is not loopback: give --tls-cert and --tls-key, --acme-domain, or --plain-http behind a proxy that ends TLS", address.flag, address.value)
		}
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loadMasterKey finds the master key, or makes one for the embedded database.
func (c *config) loadMasterKey(embedded bool) (tokens.MasterKey, error) {
	if c.masterKey != "" {
		key, err := tokens.ParseMasterKey(c.masterKey)
		if err != nil {
			return key, usagef("WARDKEY_MASTER_KEY: %w", err)
		}
		return key, nil
	}
	text, err := os.ReadFile(c.masterKeyFile)
	if errors.Is(err, os.ErrNotExist) && embedded {
		return makeMasterKey(c.masterKeyFile)
	}
	if errors.Is(err, os.ErrNotExist) {
		return tokens.MasterKey{}, usagef("there is no master key: set WARDKEY_MASTER_KEY or write one to %s, the same for every server (openssl rand -base64 32)", c.masterKeyFile)
	}
	if err != nil {
		return tokens.MasterKey{}, fmt.Errorf("read the master key: %w", err)
	}
	key, err := tokens.ParseMasterKey(string(text))
	if err != nil {
		return key, usagef("%s: %w", c.masterKeyFile, err)
	}
	return key, nil
}

// makeMasterKey writes a new master key, whole or not at all.
func makeMasterKey(path string) (tokens.MasterKey, error) {
	key := tokens.NewMasterKey()
	if err := writePrivate(path, []byte(key.Text()+"\n")); err != nil {
		return tokens.MasterKey{}, fmt.Errorf("write the master key: %w", err)
	}
	return key, nil
}

// writePrivate writes a file that only its owner reads. It is on the disk when writePrivate
// returns, whole, or not there at all.
func writePrivate(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".wardkey-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// newLog returns the server's log: text for people, JSON for programs.
func (c *config) newLog(f io.Writer, terminal bool) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return nil, usagef("--log-level must be debug, info, warn or error, not %q", c.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch {
	case c.logFormat == "json" || c.logFormat == "" && !terminal:
		return slog.New(slog.NewJSONHandler(f, options)), nil
	case c.logFormat == "text" || c.logFormat == "":
		return slog.New(slog.NewTextHandler(f, options)), nil
	}
	return nil, usagef("--log-format must be text or json, not %q", c.logFormat)
}

// serveCommand is `wardkey serve`.
func serveCommand(getenv func(string) string) *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server. Every flag is also an environment variable (--bootstrap-file is
WARDKEY_BOOTSTRAP_FILE); flags win.

OTEL_EXPORTER_OTLP_ENDPOINT sends traces to an OpenTelemetry collector over HTTP, as the other
standard variables of the OTLP exporter say.`,
		Example: `  wardkey serve --demo
  wardkey serve --issuer https://auth.example.com --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem
  wardkey serve --database postgres://wardkey@db.example.com/wardkey --master-key-file /run/secrets/master.key`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("serve takes flags only, not %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.fromEnvironment(cmd.Flags(), getenv); err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), &c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	c.flags(cmd.Flags())
	return cmd
}
