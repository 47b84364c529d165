package main

import (
	"context"
	"strings"

	"github.com/wardkey/wardkey/internal/refusals"
	"github.com/wardkey/wardkey/internal/usage"
	"github.com/wardkey/wardkey/oauth"
)

// used counts a token that is about to be given, once the store knows of the first use of its
// client today.
func (p *parts) used(ctx context.Context, u oauth.Use) error {
	if err := p.usage.Use(ctx, u.ClientID, u.SecretID, u.Address, u.At); err != nil {
		return err
	}
	p.metrics.Token(usage.Granted)
	p.counter.Record(usage.Request{
		ClientID: u.ClientID, Outcome: usage.Granted, Audience: strings.Join(u.Audience, " "), Address: u.Address, At: u.At,
	})
	return nil
}

// refused counts a token request that was refused, and gives it an error_id.
func (p *parts) refused(r refusals.Refusal) (errorID string) {
	counted := usage.Request{Outcome: string(r.Cause), Audience: strings.Join(r.Audience, " "), Address: r.Address, At: r.At}
	if r.Known {
		counted.ClientID = r.ClientID
	}
	p.metrics.Token(counted.Outcome)
	p.counter.Record(counted)
	return p.refusals.Record(r)
}
