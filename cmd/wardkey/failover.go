package main

import "context"

// warnOfFailover says in the log what a failover of the database could lose. Where that cannot be
// asked, nothing is said.
func (p *parts) warnOfFailover(ctx context.Context) {
	risk, err := p.db.FailoverRisk(ctx)
	if err != nil {
		p.log.DebugContext(ctx, "whether a failover of the database loses anything is not known", "err", err)
	}
	if risk != "" {
		p.log.WarnContext(ctx, "the database may lose what was acknowledged: "+risk)
	}
}

// failover checks that a failover of the database loses nothing that was acknowledged.
func (x *examination) failover(ctx context.Context) {
	if x.db.Embedded() {
		return
	}
	risk, err := x.db.FailoverRisk(ctx)
	switch {
	case err != nil:
		x.found("failover", skipped, "whether one loses anything is not known: %v", err)
	case risk != "":
		x.found("failover", warning, "%s", risk)
	default:
		x.found("failover", passed, "none that is known loses what was acknowledged")
	}
}
