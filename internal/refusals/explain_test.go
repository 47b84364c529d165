package refusals

import (
	"strings"
	"testing"
	"time"
)

// causes are all that there are.
var causes = []Cause{
	UnknownClient, ClientDeleted, WrongSecret, SecretEnded, ClientDisabled, ClientExpired, ClientSuspended, ScopeNotHeld,
	ScopeMalformed, AudienceUnknown, Malformed, UnsupportedGrantType, NoCredentials, TwoCredentials, RateLimited,
}

func TestExplain(t *testing.T) {
	in := Facts{Name: "CRM integration"}
	ended := in
	ended.SecretHint, ended.SecretEndedAt = "7xYz", noon.In(time.FixedZone("", 3600))
	revoked := ended
	revoked.SecretRevokedBy = "admin ann@example.com"
	holding := in
	holding.Holds = []string{"section:nordic", "email:read"}
	audiences := in
	audiences.Audiences = []string{"https://api.example", "https://files.example"}
	few := audiences
	few.ClientAudiences = []string{"https://files.example"}

	for _, tt := range []struct {
		cause       Cause
		detail      string
		facts       Facts
		says, cures string // the cause whole, of the cure a part
	}{
		{UnknownClient, "", Facts{}, "No client has or had the client_id that was sent.", "without extra spaces"},
		{UnknownClient, Blanks, Facts{}, "The client_id was sent with blanks around it.", "spaces and line breaks"},
		{UnknownClient, SecretAsID, Facts{}, "What was sent as client_id looks like a secret.", "in each other's place"},
		{ClientDeleted, "", Facts{Name: "CRM integration", DeletedAt: noon, DeletedBy: "admin ann@example.com"}, `The client "CRM integration" was deleted on 2026-03-01 at 12:00:00 UTC by admin ann@example.com.`, "create a new client"},
		{ClientDeleted, "", Facts{}, "The client 6f1f3f0e-54a7-4d3c-a4a5-0d7f4a1a9a01 was deleted.", "final"},
		{WrongSecret, "", in, `The secret that was sent is not one of the client "CRM integration".`, "guessing"},
		{WrongSecret, Blanks, in, `The secret for the client "CRM integration" was sent with blanks around it.`, "end of a file"},
		{WrongSecret, Damaged, in, `The secret that was sent for the client "CRM integration" was cut or mistyped: its checksum does not match.`, "whole"},
		{SecretEnded, "some id", ended, `The client "CRM integration" sent the secret that ends in 7xYz, which ended on 2026-03-01 at 12:00:00 UTC.`, "still has the old one"},
		{SecretEnded, "some id", revoked, `The client "CRM integration" sent the secret that ends in 7xYz, which was revoked on 2026-03-01 at 12:00:00 UTC by admin ann@example.com.`, "live now"},
		{SecretEnded, "some id", in, `The client "CRM integration" sent a secret, which had ended.`, "live now"},
		{ClientDisabled, "", in, `The client "CRM integration" was disabled: the Client ID and the secret were right.`, "Enable"},
		{ClientSuspended, "", Facts{Name: "CRM integration", SuspendedAt: noon, LastUsedAt: noon.AddDate(0, -3, 0)}, `The client "CRM integration" was suspended on 2026-03-01 at 12:00:00 UTC because it was not used: its last token was given on 2025-12-01 at 12:00:00 UTC. The Client ID and the secret were right.`, "client resume"},
		{ClientSuspended, "", Facts{Name: "CRM integration"}, `The client "CRM integration" was suspended because it was not used: it was never used. The Client ID and the secret were right.`, "ask again"},
		{ClientExpired, "", Facts{Name: "CRM integration", ExpiresAt: noon}, `The client "CRM integration" had expired on 2026-03-01 at 12:00:00 UTC: the Client ID and the secret were right.`, "later end"},
		{ScopeNotHeld, "email:write", holding, `The client "CRM integration" asked for email:write, which it does not hold.`, "(section:nordic email:read), or give it email:write."},
		{ScopeNotHeld, "email:read", holding, `The client "CRM integration" asked for email:read, which it did not hold then, or not for the audience that it asked for.`, "ask again"},
		{ScopeNotHeld, NothingHeld, in, `The client "CRM integration" holds nothing for the audience that it asked for.`, "switched off"},
		{ScopeNotHeld, "", in, `The client "CRM integration" asked for scope values that it does not hold; there were too many different ones to keep.`, "no more than the client holds,"},
		{ScopeMalformed, "a scope of more than 1024 values is not accepted", in, "The scope was malformed: a scope of more than 1024 values is not accepted.", "one space"},
		{AudienceUnknown, "https://evil.example", audiences, `The client "CRM integration" asked for a token for https://evil.example, which this server does not know.`, "(https://api.example, https://files.example)"},
		{AudienceUnknown, "https://api.example", few, `The client "CRM integration" asked for a token for https://api.example, which is not one of its audiences.`, "(https://files.example)"},
		{AudienceUnknown, "", in, `The client "CRM integration" asked for a token for audiences (too many different ones to keep), which this server does not know.`, "leave both out"},
		{Malformed, "scope is repeated", in, "The request was malformed: scope is repeated.", "each once"},
		{Malformed, "", in, "The request was malformed.", "each once"},
		{UnsupportedGrantType, "", in, "The grant_type was another than client_credentials.", "grant_type=client_credentials"},
		{NoCredentials, "client_secret is missing", in, "The request did not authenticate a client: client_secret is missing.", "X-API-Key"},
		{RateLimited, "minute", in, `The client "CRM integration" had asked for as many tokens as its plan allows (in a minute).`, "larger plan"},
		{RateLimited, "", in, `The client "CRM integration" had asked for as many tokens as its plan allows (its limits).`, "Keep each token"},
		{RateLimited, "account-day", in, "All clients together had asked for as many tokens as the account may have (in a day).", "--account-per-day"},
		{RateLimited, Failures, Facts{}, "Too many requests from there had failed to authenticate within a minute, so this one was not looked at.", "wrong Client ID or secret"},
		{TwoCredentials, "the client authenticates in two ways; send one", in, "The request authenticated its client in more ways than one: the client authenticates in two ways; send one.", "once"},
	} {
		r := Row{ClientID: billing, Cause: tt.cause, Detail: tt.detail}
		cause, cure := Explain(r, tt.facts)
		if cause != tt.says || !strings.Contains(cure, tt.cures) {
			t.Errorf("%s %q:\n%s\nwant\n%s\nand the cure\n%s\nshould say %q", tt.cause, tt.detail, cause, tt.says, cure, tt.cures)
		}
	}
}

// Whatever is not known, each cause has sentences of its own, a cause and a cure.
func TestExplainEveryCause(t *testing.T) {
	seen := map[string]Cause{}
	for _, c := range causes {
		for _, r := range []Row{{Cause: c}, {Cause: c, ClientID: billing, Detail: "detail"}} {
			cause, cure := Explain(r, Facts{})
			for _, sentence := range []string{cause, cure} {
				if !strings.HasSuffix(sentence, ".") || sentence[:1] != strings.ToUpper(sentence[:1]) || strings.Contains(sentence, "  ") || strings.Contains(sentence, "%!") {
					t.Errorf("%s is explained with %q", c, sentence)
				}
				if other, ok := seen[sentence]; ok && other != c {
					t.Errorf("%s and %s are explained with %q", other, c, sentence)
				}
				seen[sentence] = c
			}
		}
	}
	if cause, cure := Explain(Row{Cause: "of a later version"}, Facts{}); cause == "" || cure == "" {
		t.Errorf("a cause of a later version is explained with %q and %q", cause, cure)
	}
}
