package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
)

// sum is the hash that the event must carry: of its JSON without the hash itself.
func (e Event) sum() (string, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("write an audit event: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// mac is what only the holder of the key can say of a place in the chain.
func mac(key []byte, what string, seq int64, hash string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(what + " " + strconv.FormatInt(seq, 10) + " " + hash))
	return hex.EncodeToString(h.Sum(nil))
}

// Pseudonym stands for a text that must be known again and not be read, nor guessed from the
// database alone.
func (l *Log) Pseudonym(text string) string { return mac(l.key, "pseudonym", 0, text) }

// What is sealed.
const (
	sealedEvent = "event"
	sealedHead  = "head"
)

// A Fault is the first place where a log is not what was written.
type Fault struct {
	Seq    int64  // where the event is or should be
	Reason string // for people
}

// A chain checks events one after the other.
type chain struct {
	last int64
	hash string
}

// next says what is wrong with the event that comes next, nil if nothing is.
func (c *chain) next(e Event) *Fault {
	if e.Seq != c.last+1 {
		if e.Seq <= c.last {
			return &Fault{e.Seq, fmt.Sprintf("event %d stands after event %d", e.Seq, c.last)}
		}
		return &Fault{c.last + 1, fmt.Sprintf("event %d is missing: after event %d comes event %d", c.last+1, c.last, e.Seq)}
	}
	sum, err := e.sum()
	switch {
	case err != nil:
		return &Fault{e.Seq, err.Error()}
	case sum != e.Hash:
		return &Fault{e.Seq, fmt.Sprintf("event %d was changed: its hash is not that of what it says", e.Seq)}
	case e.Previous != c.hash:
		return &Fault{e.Seq, fmt.Sprintf("event %d does not follow event %d: it carries the hash of another", e.Seq, c.last)}
	}
	c.last, c.hash = e.Seq, e.Hash
	return nil
}
