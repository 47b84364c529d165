package browser

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// paste looks at what is pasted, and says whether it is shown again.
func (b *tab) paste(text string) {
	b.t.Helper()
	b.goTo("/admin/troubleshoot")
	b.do(chromedp.SetValue("#what", text), chromedp.Submit("#what"), chromedp.WaitVisible("#found"))
	b.at("/admin/troubleshoot")
	if trimmed := strings.TrimSpace(text); len(trimmed) > 40 && strings.Contains(b.html(), trimmed) {
		b.t.Errorf("what was pasted is shown again: %s", trimmed)
	}
}

// Whatever somebody has of an integration that does not work is told what it is and what to do.
func TestTroubleshoot(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		other := s.ask(h.key, h.secret)["access_token"].(string)
		parts := strings.Split(other, ".")
		for _, tt := range []struct {
			name, text string
			want       []string
		}{
			{"Secret", h.secret, []string{"This is a Secret", "It is whole, and gets tokens", "CRM integration - production"}},
			{"Secret with blanks", "  " + h.secret + "\n", []string{"blanks stood around it", "Take the blanks"}},
			{"Secret that was cut", h.secret[:50], []string{"It is damaged", "It has 50 characters of 53"}},
			{"Secret of nobody", "wks_" + strings.Repeat("0", 49), []string{"It is damaged"}},
			{"Client ID", h.key, []string{"This is a Client ID", "CRM integration - production", "was cut or mistyped"}},
			{"Client ID in capitals", strings.ToUpper(h.rotating), []string{"It is that of an active API key", "Shop checkout - production"}},
			{"deleted key", h.deleted, []string{"an API key that was deleted", "Newsletter import - staging"}},
			{"unknown key", "11111111-2222-4333-8444-555555555555", []string{"No API key has it, or had it."}},
			{"error_id", h.errorID, []string{"This is an error_id", "was cut or mistyped", "CRM integration - production"}},
			{"answer with an error_id", `{"error":"invalid_client","error_id":"` + h.errorID + `"}`, []string{"This is an error_id", "was cut or mistyped"}},
			{"unknown error_id", strings.Repeat("A", 26), []string{"No refused token request is known by it."}},
			{"token", other, []string{"This is a token", "every check passes", "client_id", h.key}},
			{"token with its scheme", "Authorization: Bearer " + other, []string{"every check passes"}},
			{"token with a line break", other[:60] + "\n" + other[60:], []string{"every check passes", "Blanks or line breaks"}},
			{"forged token", parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86), []string{"It is not good", "not signed with a key of the issuer", "anybody may have written this"}},
			{"something else", "hello", []string{"nothing that Wardkey makes"}},
		} {
			b.paste(tt.text)
			for _, want := range tt.want {
				if page := b.text(); !strings.Contains(page, want) {
					t.Errorf("%s: the page does not say %q:\n%s", tt.name, want, page[strings.Index(page, "Look at it"):])
				}
			}
		}
		s.call("POST", "clients/"+h.key+"/revoke-tokens", nil)
		b.paste(other)
		b.says("the client's tokens were revoked after it was made")
		s.call("PATCH", "clients/"+h.key, map[string]any{"disabled": true})
		b.paste(h.secret)
		b.says("its API key gets no tokens")
		ended := s.call("GET", "clients/"+h.key, nil)["secrets"].([]any)[0].(map[string]any)["id"].(string)
		s.call("DELETE", "clients/"+h.key+"/secrets/"+ended, nil)
		b.paste(h.secret)
		b.says("It is whole, and was revoked")
		b.goTo("/admin/troubleshoot?what=" + url.QueryEscape(h.secret)) // by address only Client IDs
		b.has("#found", false)
	})
}

// The simulator answers, and says why.
func TestSimulator(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/simulator")
		b.do(chromedp.SendKeys("#q", "production"), chromedp.SetValue("#permission", "email:write"), chromedp.SetValue("#section", "iberia"), chromedp.Submit("#q"),
			chromedp.WaitVisible(`//a[text()="CRM integration - production"]`), chromedp.Click(`//a[text()="CRM integration - production"]`), chromedp.WaitVisible("#answer"))
		b.says("It does not have iberia, only: benelux, nordic")
		b.do(chromedp.SetValue("#section", "nordic"), chromedp.Submit("#section"), chromedp.WaitVisible("#answer.good"))
		b.says("It holds email:write by name")
		b.says("section:nordic email:write")
		if scope := s.ask(h.key, h.secret)["scope"]; !strings.Contains(b.text(), scope.(string)) {
			t.Errorf("the simulator does not say what a token request gets: %v\n%s", scope, b.text())
		}
		b.goTo("/admin/simulator?q=nothing+is+called+so")
		b.says("No API key has this name or Client ID")
	})
}

// The audit log is filtered, checked, and exported whole.
func TestAudit(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/audit")
		b.do(chromedp.SendKeys("#action", "client.delete"), chromedp.Submit("#action"), chromedp.WaitNotPresent(`//code[text()="client.create"]`))
		b.says("Newsletter import - staging")
		b.goTo("/admin/audit?client=" + h.rotating)
		b.says("secret.create")
		b.has(`//a[text()="Loyalty app - test"]`, false)
		b.do(chromedp.Click(`//a[text()="Check the log"]`), chromedp.WaitVisible(".note.right"))
		b.says("The log is whole.")
		b.goTo("/admin/audit?until=2020-01-01")
		b.says("Nothing found")
		b.goTo("/admin/audit?since=yesterday")
		b.says("must be a day")

		answer, text := b.fetch("GET", "/admin/audit/export?action=client", nil, nil)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if answer.Header.Get("Content-Type") != "application/jsonl" || !strings.HasPrefix(answer.Header.Get("Content-Disposition"), "attachment") || len(lines) < 6 {
			t.Errorf("the export is %s, %v with %d lines", answer.Status, answer.Header, len(lines))
		}
		for _, line := range lines {
			var event struct{ Action string }
			if err := json.Unmarshal([]byte(line), &event); err != nil || !strings.HasPrefix(event.Action, "client.") {
				t.Errorf("the export has the line %s", line)
			}
		}
		if answer, _ := b.fetch("GET", "/admin/audit/export?since=yesterday", nil, nil); answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Content-Disposition") != "" {
			t.Errorf("an export since no day = %s, %v; want 400 and no file", answer.Status, answer.Header)
		}
	})
}

// Owners add admins, change their roles, reset passwords and remove them.
func TestAdmins(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/admins")
		b.do(chromedp.SendKeys("#email", "no address"), chromedp.Submit("#email"), chromedp.WaitVisible("#email-wrong"))
		if got := b.value("#email"); got != "no address" {
			t.Errorf("after an error the form has %q; want what was typed", got)
		}
		b.do(chromedp.SetValue("#email", "new@example.com"), chromedp.Submit("#email"), chromedp.WaitVisible("#password"))
		password := b.content("#password")
		b.do(chromedp.Click(".close input"), chromedp.Click(".close button"), chromedp.WaitVisible("#role"))
		if strings.Contains(b.html(), password) {
			t.Error("the password is shown again")
		}
		row := `//tr[.//*[contains(text(), "new@example.com")]]`
		b.do(chromedp.SetValue(row+`//select`, "viewer"), chromedp.Click(row+`//form[contains(@action, "/role")]//button`), chromedp.WaitReady(row+`//option[@selected and text()="viewer"]`))

		other := s.open(phone)
		other.goTo("/admin/sign-in")
		other.do(chromedp.SendKeys("#email", "new@example.com"), chromedp.SendKeys("#password", password), chromedp.Submit("#password"), chromedp.WaitVisible("#new_password"))
		other.says("is for one time")

		b.do(chromedp.Click(row+`//form[contains(@action, "/reset-password")]//button`), chromedp.WaitVisible("#password"))
		if again := b.content("#password"); again == password {
			t.Error("the password is the one from before")
		}
		other.goTo("/admin/password") // the session has ended
		other.has("#email", true)
		b.goTo("/admin/admins/" + h.admin + "/delete")
		b.do(chromedp.SendKeys("#email", "viewer"), chromedp.Submit("#email"), chromedp.WaitVisible("#email-wrong"))
		b.do(chromedp.SetValue("#email", "viewer@example.com"), chromedp.Submit("#email"), chromedp.WaitVisible("#role"), chromedp.WaitNotPresent(`//*[contains(text(), "viewer@example.com")]`))
	})
}

// Signing keys are rotated, and one that leaked is deleted.
func TestSigningKeys(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		h := s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/signing-keys")
		b.do(chromedp.Click(`main form button`), chromedp.WaitVisible(`//*[starts-with(text(), "Signs in ")]`))
		b.do(chromedp.SetValue("#alg", "EdDSA"), chromedp.Click(`input[name=when][value=now]`), chromedp.Click(`main form button`), chromedp.WaitVisible(`//td[text()="EdDSA"]`))
		b.goTo("/admin/signing-keys/" + h.kid + "/delete")
		b.do(chromedp.SendKeys("#kid", "no"), chromedp.Submit("#kid"), chromedp.WaitVisible("#kid-wrong"))
		b.do(chromedp.SetValue("#kid", h.kid[:6]), chromedp.Submit("#kid"), chromedp.WaitVisible(`a[aria-current][href="/admin/signing-keys"]`), chromedp.WaitNotPresent("#kid"))
		if strings.Contains(b.text(), h.kid) {
			t.Error("the key that was deleted is still there")
		}
		b.paste(h.token)
		b.says("not signed with a key of the issuer")
	})
}

// Section, keyspace and capability are made, changed and deleted.
func TestThings(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.furnish(plainly)
		b := s.open(laptop)
		b.signIn()
		b.goTo("/admin/sections")
		b.do(chromedp.SendKeys("#name", "Second Nordic"), chromedp.SendKeys("#id", "nordic"), chromedp.Submit("#id"), chromedp.WaitVisible("#id-wrong"))
		if got := b.value("#name"); got != "Second Nordic" {
			t.Errorf("after an error the form has %q; want what was typed", got)
		}
		b.do(chromedp.SetValue("#id", "oceania"), chromedp.Submit("#id"), chromedp.WaitVisible(`a[href="/admin/sections/oceania"]`))
		b.goTo("/admin/sections/nordic?permission=email:write")
		b.has(`//a[text()="CRM integration - production"]`, true)
		b.has(`//a[text()="Nightly BI export - production"]`, false)
		b.do(chromedp.Click(`main a[href$="/delete"]`), chromedp.WaitVisible("#id"))
		b.says("2 keys are deleted with it") // those that have no other Section
		b.do(chromedp.SendKeys("#id", "nordi"), chromedp.Submit("#id"), chromedp.WaitVisible("#id-wrong"))
		b.do(chromedp.SetValue("#id", "nordic"), chromedp.Submit("#id"), chromedp.WaitVisible(`a[href="/admin/sections/oceania"]`), chromedp.WaitNotPresent(`a[href="/admin/sections/nordic"]`))
		b.goTo("/admin/capabilities/export")
		b.do(chromedp.Click(`button[name=switch]`), chromedp.WaitVisible(`button[name=switch][value=off]`))
		b.goTo("/admin/keyspaces/email")
		b.do(chromedp.SetValue("#actions", "read"), chromedp.Submit("#actions"), chromedp.WaitReady("#actions"))
		b.goTo("/admin/keyspaces/email")
		if got := b.value("#actions"); got != "read" {
			t.Errorf("the keyspace has the actions %q; want read", got)
		}
	})
}
