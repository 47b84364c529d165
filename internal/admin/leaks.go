package admin

import (
	"context"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/leaks"
	"github.com/wardkey/wardkey/sections"
)

// maxLeaks is how many secrets one request may report.
const maxLeaks = 500

// ReportLeakedSecrets answers POST /security/leaked-secrets.
func (h endpoints) ReportLeakedSecrets(ctx context.Context, req wire.ReportLeakedSecretsRequestObject) (wire.ReportLeakedSecretsResponseObject, error) {
	in, err := decode[wire.LeakReport](req.Body)
	if err != nil {
		return nil, err
	}
	if err := checkLeaks(in); err != nil {
		return nil, err
	}
	findings := make([]leaks.Finding, len(in.Secrets))
	for i, text := range in.Secrets {
		findings[i] = leaks.Finding{Secret: clients.SecretOf(text), FoundAt: orEmpty(in.FoundAt)}
	}
	if err := once(ctx, h.DB); err != nil {
		return nil, err
	}
	results, err := h.Leaks.Take(ctx, findings, actor(ctx), isTrue(in.DryRun))
	if err != nil {
		return nil, err
	}
	// Noted in the end: a report that was taken in part may be sent again.
	if err := made(ctx, h.DB, "leaked-secrets"); err != nil {
		return nil, err
	}
	answer := wire.ReportLeakedSecrets200JSONResponse{DryRun: isTrue(in.DryRun), Items: make([]wire.LeakOutcome, len(results))}
	for i, r := range results {
		answer.Items[i] = wire.LeakOutcome{
			Outcome: wire.LeakOutcomeOutcome(r.Outcome), ClientID: unlessEmpty(r.ClientID), ClientName: unlessEmpty(r.ClientName),
			SecretID: unlessEmpty(r.SecretID), Hint: unlessEmpty(r.Hint),
		}
	}
	return answer, nil
}

func checkLeaks(in wire.LeakReport) error {
	var rules sections.Invalid
	if n := len(in.Secrets); n == 0 || n > maxLeaks {
		rules.Add("/secrets", "must have 1 to %d secrets", maxLeaks)
	}
	if len([]rune(orEmpty(in.FoundAt))) > 1000 {
		rules.Add("/found_at", "may have at most 1000 characters")
	}
	return rules.Err()
}
