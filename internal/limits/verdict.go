package limits

import "github.com/wardkey/wardkey/clients"

// A Verdict says whether a request is over a limit, and how its client stands.
type Verdict struct {
	Standings []Standing // of the client; empty without limits

	over    *Standing
	refused bool
	from    portion // that the request was drawn from
}

// A Standing is how a client stands with one of its limits.
type Standing struct {
	Name   string // minute, burst, day, and for the account account-minute …
	Limit  int64
	Window int64 // seconds in which so many are let through
	Left   int64
	Reset  int64 // seconds until there is more
}

// Over is the limit that the request is over, nil for none.
func (v Verdict) Over() *Standing { return v.over }

// Refused says whether the request is to be refused: on trial, what is over a limit is not.
func (v Verdict) Refused() bool { return v.refused }

// verdict tells of a request that was let through, or is over a limit.
func (s *share) verdict(now int64, over *Standing) Verdict {
	v := Verdict{Standings: s.standings(now)}
	if over == nil {
		return v
	}
	for i := range v.Standings {
		if v.Standings[i].Name == over.Name {
			v.Standings[i].Left = 0
			v.over, v.refused = &v.Standings[i], true
		}
	}
	return v
}

// standings are how it stands with each limit, as far as is known here.
func (s *share) standings(now int64) []Standing {
	return standings(s.limits, s.row, s.left, now)
}

func standings(limits clients.Limits, r row, left, now int64) []Standing {
	all := make([]Standing, 0, 4) // one more for the account's
	r = r.now(limits, now)
	if limits.PerMinute > 0 {
		all = append(all,
			Standing{"minute", limits.PerMinute, 60, max(0, limits.PerMinute-r.minuteTaken+left), seconds(minute - now%minute)},
			Standing{"burst", limits.Burst, seconds(span(limits.Burst, limits.PerMinute)), room(limits, r, left, now), seconds(untilOne(limits, r, now))})
	}
	if limits.PerDay > 0 {
		all = append(all, Standing{"day", limits.PerDay, day / second, max(0, limits.PerDay-r.dayTaken+left), seconds(day - now%day)})
	}
	return all
}

// span is the time in which so many requests flow evenly.
func span(requests, perMinute int64) int64 {
	if perMinute == 0 {
		return 0
	}
	return requests * minute / perMinute
}

// fullest is until when a bucket has something in it that is filled now.
func fullest(limits clients.Limits, now int64) int64 {
	return now + span(limits.Burst, limits.PerMinute)
}

// room is how many requests fit in the bucket.
func room(limits clients.Limits, r row, left, now int64) int64 {
	free := span(limits.Burst, limits.PerMinute) - max(0, r.fullAt-now)
	return max(0, min(limits.Burst, free*limits.PerMinute/minute+left))
}

// untilOne is how long it takes until one more request fits in the bucket.
func untilOne(limits clients.Limits, r row, now int64) int64 {
	return max(r.fullAt-now-span(limits.Burst-1, limits.PerMinute), span(1, limits.PerMinute))
}

// seconds is a span in whole seconds, rounded up.
func seconds(micros int64) int64 { return max(1, (micros+second-1)/second) }
