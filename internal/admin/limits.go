package admin

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/wardkey/wardkey/clients"
	"github.com/wardkey/wardkey/internal/admin/wire"
	"github.com/wardkey/wardkey/internal/limits"
)

// noPlan is what the plan of a client is called that is on none.
const noPlan = "none"

func showPlan(p clients.Plan) wire.Plan { return cmp.Or(string(p), noPlan) }

// plan is the one that was written, or the server's default.
func (h *Handler) plan(written *string) clients.Plan {
	switch {
	case written == nil:
		return h.Plan
	case *written == noPlan:
		return clients.NoPlan
	case *written == "":
		return "empty" // not none, so no rule lets it pass
	}
	return clients.Plan(*written)
}

func showLimits(l clients.Limits) wire.Limits {
	return wire.Limits{PerMinute: unlessZero(l.PerMinute), Burst: unlessZero(l.Burst), PerDay: unlessZero(l.PerDay)}
}

func unlessZero(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// writableLimits are the numbers of a client's own.
func writableLimits(c *clients.Client) *wire.LimitsIn {
	if c.Plan != clients.Enterprise {
		return nil
	}
	shown := wire.LimitsIn(showLimits(c.Limits))
	return &shown
}

// limitsOf are the limits that were written. Zero stands for none in a client, so what is written
// as zero becomes a negative number, which no rule lets pass.
func limitsOf(in *wire.LimitsIn) (l clients.Limits) {
	if in == nil {
		return l
	}
	for _, number := range []struct {
		to      *int64
		written *int64
	}{{&l.PerMinute, in.PerMinute}, {&l.Burst, in.Burst}, {&l.PerDay, in.PerDay}} {
		if number.written != nil {
			*number.to = cmp.Or(*number.written, -1)
		}
	}
	return l
}

// ListPlans answers GET /plans.
func (h endpoints) ListPlans(ctx context.Context, _ wire.ListPlansRequestObject) (wire.ListPlansResponseObject, error) {
	list := wire.PlanList{Default: showPlan(h.Plan), Mode: string(h.Limits.Mode), Items: []wire.PlanLimits{{Plan: noPlan}}}
	for _, p := range clients.Plans {
		list.Items = append(list.Items, wire.PlanLimits{Plan: string(p), Limits: showLimits(p.Limits())})
	}
	standings, err := h.Limits.AccountTaken(ctx)
	if err != nil {
		return nil, err
	}
	list.Account = showStandings(standings)
	return wire.ListPlans200JSONResponse(list), nil
}

func showStandings(standings []limits.Standing) []wire.LimitStanding {
	shown := make([]wire.LimitStanding, len(standings))
	for i, s := range standings {
		shown[i] = wire.LimitStanding{Name: s.Name, Limit: s.Limit, Left: s.Left, Reset: s.Reset}
	}
	return shown
}

// ReadClientLimits answers GET /clients/{id}/limits.
func (h endpoints) ReadClientLimits(ctx context.Context, req wire.ReadClientLimitsRequestObject) (wire.ReadClientLimitsResponseObject, error) {
	c, err := h.client(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	standings, err := h.Limits.Taken(ctx, c.ID, c.Limits)
	if err != nil {
		return nil, err
	}
	habit, err := h.Habits.Today(ctx, c.ID, time.Now())
	if err != nil {
		return nil, err
	}
	return wire.ReadClientLimits200JSONResponse{
		Plan: showPlan(c.Plan), Limits: showLimits(c.Limits), Mode: string(h.Limits.Mode), Standings: showStandings(standings),
		OverToday: habit.Over, EarlyToday: habit.Early, UserAgent: habit.UserAgent, Advice: showAdvice(habit),
	}, nil
}

func showAdvice(habit limits.Habit) wire.TokenAdvice {
	advice := limits.AdviceFor(habit.UserAgent)
	return wire.TokenAdvice{Library: advice.Library, Snippet: advice.Snippet}
}

// maxWasteful is how many wasteful clients are listed.
const maxWasteful = 50

// ListWastefulClients answers GET /wasteful-clients.
func (h endpoints) ListWastefulClients(ctx context.Context, _ wire.ListWastefulClientsRequestObject) (wire.ListWastefulClientsResponseObject, error) {
	worst, err := h.Habits.Worst(ctx, time.Now(), maxWasteful)
	if err != nil {
		return nil, err
	}
	items := make([]wire.WastefulClient, len(worst))
	for i, habit := range worst {
		items[i] = wire.WastefulClient{
			ClientID: habit.ClientID, EarlyToday: habit.Early, OverToday: habit.Over, UserAgent: habit.UserAgent, Advice: showAdvice(habit),
		}
		c, err := h.Clients.Client(ctx, habit.ClientID)
		switch {
		case err == nil:
			items[i].ClientName = &c.Name
		case !errors.Is(err, clients.ErrNotFound):
			return nil, err
		}
	}
	return wire.ListWastefulClients200JSONResponse{Items: items}, nil
}
