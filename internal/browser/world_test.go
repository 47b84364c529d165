package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/wardkey/wardkey/internal/databasetest"
)

// binary is the wardkey that was built for these tests, and browser the one Chromium that they
// share, each in a profile of its own.
var (
	binary  string
	browser context.Context
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wardkey-browser-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		return 1
	}
	stop, err := startBrowser()
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		return 1
	}
	defer stop()
	return m.Run()
}

func build(dir string) error {
	binary = filepath.Join(dir, "wardkey")
	cmd := exec.Command("go", "build", "-o", binary, "github.com/wardkey/wardkey/cmd/wardkey")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the one static binary that users have
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// startBrowser starts Chromium where everything must be tested, or where WARDKEY_TEST_BROWSER or
// LOOK asks for it; otherwise tests are skipped.
func startBrowser() (stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // Chromium refuses one to root, which fresh machines often are
		chromedp.DisableGPU, chromedp.Flag("lang", "en-US"), chromedp.Flag("force-color-profile", "srgb"))
	everything := os.Getenv("WARDKEY_TEST_ENGINES") == "both"
	if !everything && os.Getenv("LOOK")+os.Getenv("SCREENSHOTS")+os.Getenv("WARDKEY_TEST_BROWSER") == "" {
		return func() {}, nil // make check takes seconds
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		path, err = exec.LookPath("google-chrome")
	}
	if err != nil {
		return nil, errors.New("no Chromium: install the package chromium, or run make test")
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), append(options, chromedp.ExecPath(path))...)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Run(ctx); err != nil {
		stopAllocator()
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	browser = ctx
	return func() { stopBrowser(); stopAllocator() }, nil
}

// A server is a wardkey that was just started for the first time.
type server struct {
	url              string
	email, password  string // the one-time password of the first owner
	clientID, secret string // of the client for the admin API
	token            string // for the admin API
	t                *testing.T
}

// each runs a test on a server with each engine.
func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Run("sqlite", func(t *testing.T) { test(t, start(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, start(t, "--database", databasetest.PostgresURL(t))) })
}

// start runs a server until the test ends.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	if browser == nil {
		t.Skip("no browser: make test runs these, or WARDKEY_TEST_BROWSER=1")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "first.json")
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir, "--bootstrap-file", file, "--log-level", "error"}, args...)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "WARDKEY_MASTER_KEY="+strings.Repeat("A", 43)+"=")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		must(t, cmd.Wait())
	})
	s := &server{t: t}
	lines := bufio.NewScanner(stdout)
	for s.url == "" && lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			s.url = "http://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
		}
	}
	if s.url == "" {
		t.Fatal("the server never listened")
	}
	go io.Copy(io.Discard, stdout)
	s.readFirst(file)
	return s
}

func (s *server) readFirst(file string) {
	s.t.Helper()
	text, err := os.ReadFile(file)
	must(s.t, err)
	var first struct {
		Email    string `json:"admin_email"`
		Password string `json:"admin_password"`
		ID       string `json:"client_id"`
		Secret   string `json:"client_secret"`
	}
	must(s.t, json.Unmarshal(text, &first))
	s.email, s.password, s.clientID, s.secret = first.Email, first.Password, first.ID, first.Secret
	s.token = s.ask(first.ID, first.Secret)["access_token"].(string)
}

// ask asks for a token.
func (s *server) ask(id, secret string) map[string]any {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/oauth/token", strings.NewReader("grant_type=client_credentials"))
	must(s.t, err)
	r.SetBasicAuth(id, secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(r)
}

// call calls the admin API with a token, past the pages.
func (s *server) call(method, path string, body any) map[string]any {
	s.t.Helper()
	text, err := json.Marshal(body)
	must(s.t, err)
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+"/admin/v1/"+path, bytes.NewReader(text))
	must(s.t, err)
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/json")
	return s.send(r)
}

func (s *server) send(r *http.Request) map[string]any {
	s.t.Helper()
	answer, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(s.t, err)
	var v map[string]any
	if len(text) > 0 {
		must(s.t, json.Unmarshal(text, &v))
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A tab is one page of a browser in which nobody is signed in, as wide as it says.
type tab struct {
	*server
	ctx     context.Context
	profile cdp.BrowserContextID
}

// patience is how long a tab may be open.
const patience = 4 * time.Minute

const (
	laptop = 1280
	phone  = 390
)

// open opens a tab in a profile of its own.
func (s *server) open(width int64) *tab {
	s.t.Helper()
	// A profile of its own, in a window of its own: Chromium opens no tab where there is no window.
	direct := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	profile, err := target.CreateBrowserContext().Do(direct)
	must(s.t, err)
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(direct)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, target.DisposeBrowserContext(profile).Do(direct)) })
	ctx, _ := chromedp.NewContext(browser, chromedp.WithTargetID(id)) // it goes with its profile
	ctx, cancel := context.WithTimeout(ctx, patience)
	s.t.Cleanup(cancel)
	b := &tab{s, ctx, profile}
	b.listen()
	b.do(audits.Enable(), chromedp.EmulateViewport(width, 800), emulation.SetFocusEmulationEnabled(true), emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}))
	return b
}

// another opens one more tab in the profile of this one, where the same person is signed in.
func (b *tab) another() *tab {
	b.t.Helper()
	direct := cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
	id, err := target.CreateTarget("about:blank").WithBrowserContextID(b.profile).WithNewWindow(true).Do(direct)
	must(b.t, err)
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	b.t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx, chromedp.WithTargetID(id)) // it goes with its profile
	other := &tab{b.server, ctx, b.profile}
	other.listen()
	other.do(audits.Enable())
	return other
}

// listen has the test fail for whatever the browser complains of: an error in a script, or what
// the Content-Security-Policy forbids.
func (b *tab) listen() {
	chromedp.ListenTarget(b.ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.t.Errorf("a script failed: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			if e.Entry.Source != log.SourceNetwork && e.Entry.Level == log.LevelError {
				b.t.Errorf("the browser complains: %s", e.Entry.Text)
			}
		case *audits.EventIssueAdded:
			if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
				b.t.Errorf("the policy was violated: %+v", e.Issue.Details.ContentSecurityPolicyIssueDetails)
			}
		}
	})
}

// do does what a person does.
func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := chromedp.Run(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.text())
	}
}

// text is what the page says.
func (b *tab) text() (text string) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate(`document.body.innerText`, &text)) // it is for a message
	return text
}

// goTo opens a page.
func (b *tab) goTo(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url+path), chromedp.WaitReady("main", chromedp.ByQuery))
}

// leaves runs a script that leaves the page, as by going back, and waits for what follows. The script
// answers first: whoever leaves while it is asked gets an error, at times.
func (b *tab) leaves(script string) {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.ctx)
	defer stop()
	arrived := make(chan struct{}, 1)
	chromedp.ListenTarget(ctx, func(event any) {
		_, ok := event.(*cdppage.EventLoadEventFired)
		if e, is := event.(*cdppage.EventFrameNavigated); is {
			ok = e.Type == cdppage.NavigationTypeBackForwardCacheRestore // it is shown as it was, not loaded
		}
		if ok {
			select {
			case arrived <- struct{}{}:
			default:
			}
		}
	})
	b.do(chromedp.Evaluate(`setTimeout(() => { `+script+` }); null`, nil))
	select {
	case <-arrived:
	case <-ctx.Done():
		b.t.Fatalf("%s leads nowhere: %v", script, ctx.Err())
	}
	b.do(chromedp.WaitReady("body"))
}

// goodPassword is what the first owner chooses.
const goodPassword = "correct horse battery staple"

// signIn signs the first owner in, whose password was chosen before or is now.
func (b *tab) signIn() {
	b.t.Helper()
	b.goTo("/admin/sign-in")
	b.do(chromedp.SendKeys("#email", b.email), chromedp.SendKeys("#password", b.password), chromedp.Submit("#password"), chromedp.WaitVisible(".who"))
	if b.password == goodPassword {
		return
	}
	b.do(chromedp.SendKeys("#current_password", b.password), chromedp.SendKeys("#new_password", goodPassword), chromedp.SendKeys("#again", goodPassword),
		chromedp.Submit("#again"), chromedp.WaitVisible(`a[aria-current][href="/admin/keys"]`))
	b.password = goodPassword
}

// picture writes what the whole page looks like.
func (b *tab) picture(file string) {
	b.t.Helper()
	var png []byte
	b.do(chromedp.FullScreenshot(&png, 100))
	must(b.t, os.WriteFile(file, png, 0o644))
}

// awaited has an expression's promise awaited.
func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// at says whether the tab is at an address of the server.
func (b *tab) at(path string) {
	b.t.Helper()
	if got := b.path(); got != path {
		b.t.Errorf("the browser is at %s; want %s", got, path)
	}
}

// path is where the tab is.
func (b *tab) path() string {
	b.t.Helper()
	var address string
	b.do(chromedp.Location(&address))
	return strings.TrimPrefix(address, b.url)
}

// says says whether the page says something.
func (b *tab) says(text string) {
	b.t.Helper()
	if page := b.text(); !strings.Contains(page, text) {
		b.t.Errorf("the page does not say %q:\n%s", text, page)
	}
}

// has says whether the page has what a selector finds.
func (b *tab) has(selector string, want bool) {
	b.t.Helper()
	var nodes []*cdp.Node
	by := chromedp.ByQueryAll
	if strings.HasPrefix(selector, "//") {
		by = chromedp.BySearch // XPath
	}
	b.do(chromedp.Nodes(selector, &nodes, by, chromedp.AtLeast(0)))
	if got := len(nodes) > 0; got != want {
		b.t.Errorf("the page has %s: %t; want %t", selector, got, want)
	}
}

// content is the text of an element.
func (b *tab) content(selector string) (text string) {
	b.t.Helper()
	b.do(chromedp.TextContent(selector, &text, chromedp.ByQuery))
	return text
}

// value is what is typed into a field.
func (b *tab) value(selector string) (text string) {
	b.t.Helper()
	b.do(chromedp.Value(selector, &text, chromedp.ByQuery))
	return text
}

// html is the whole page.
func (b *tab) html() (text string) {
	b.t.Helper()
	b.do(chromedp.Evaluate(`document.documentElement.outerHTML`, &text))
	return text
}
