package limits

import (
	"sync"

	"github.com/wardkey/wardkey/clients"
)

// Spans of time, in microseconds.
const (
	second = int64(1_000_000)
	minute = 60 * second
	day    = 24 * 60 * minute
)

// A share is the requests that this server may let through by itself.
type share struct {
	id string

	mu     sync.Mutex
	limits clients.Limits
	left   int64
	taken  portion // of which they are left
	row    row     // what the store said last
	size   int64   // of the last purchase
	boughtAt,
	drawnAt int64 // in microseconds, as all times here

	closed      Standing // the limit in the way,
	closedUntil int64    // until when nobody asks the store again

	buying  *purchase // nil: the store is not being asked
	waiting int64     // requests, for the next purchase
	back    []portion // to be given back
}

// A portion is requests that were counted in a minute and a day, and what each takes of the bucket.
type portion struct {
	minute, day int64
	requests    int64
	perMinute   int64
}

// A row is what the store has of a client, by its own clock.
type row struct{ minute, minuteTaken, day, dayTaken, fullAt int64 }

// askew is how far apart servers may take the time of the database to be.
const askew = 2 * second

// now is what the row counts for under limits, as [Limiter.reserve] has it.
func (r row) now(limits clients.Limits, now int64) row {
	if r.minute < now/minute || r.minute > now/minute+1 {
		r.minuteTaken = 0
	}
	if r.day < now/day || r.day > now/day+1 {
		r.dayTaken = 0
	}
	if r.fullAt > fullest(limits, now)+askew {
		r.fullAt = now
	}
	return r
}

// A purchase is a share on its way from the store. Requests that need it at the same time wait for
// the same.
type purchase struct {
	done chan struct{}
	err  error // set before done is closed
}

// renew ends a share that other limits hold for by now.
func (s *share) renew(limits clients.Limits, now int64) {
	if s.limits != limits {
		s.retire()
		s.limits, s.closedUntil = limits, 0
	}
	s.end(now)
}

// end ends a share whose minute or day is over.
func (s *share) end(now int64) {
	if s.left > 0 && (now/minute != s.taken.minute || now/day != s.taken.day) {
		s.retire()
	}
}

// retire puts what is left aside, to be given back.
func (s *share) retire() {
	if s.left == 0 {
		return
	}
	p := s.taken
	p.requests = s.left
	s.back, s.left = append(s.back, p), 0
}

// putBack undoes a draw from what was taken then.
func (s *share) putBack(from portion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken == from {
		s.left++
		return
	}
	from.requests = 1
	s.back = append(s.back, from)
}

// want is how many requests to buy: what would last for a second, as the last ones lasted, but few
// enough that what lies unused here when the limit is reached elsewhere does not count. Those that
// wait now do not lie unused.
func (s *share) want(now int64) int64 {
	lasted := max(now-s.boughtAt, second/steepest)
	s.size = max(s.size*second/lasted, s.size/2)
	least := s.waiting
	s.waiting = 0
	s.size = max(1, least, min(s.size, s.room(now)/20))
	return s.size
}

// steepest is how many times as much as the last is bought at most.
const steepest = 16

// room is how many requests fit, as far as is known here.
func (s *share) room(now int64) int64 {
	room := int64(1) << 62
	for _, standing := range s.standings(now) {
		room = min(room, standing.Left)
	}
	return room
}
