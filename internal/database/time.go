package database

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// A Time is Unix seconds in a BIGINT column; the zero time is 0 and means "never".
type Time struct{ time.Time }

// At wraps t for a statement.
func At(t time.Time) Time { return Time{t} }

// Value implements [driver.Valuer].
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return int64(0), nil
	}
	return t.Unix(), nil
}

// Scan implements [sql.Scanner].
func (t *Time) Scan(column any) error {
	seconds, ok := column.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as a whole number, not %T", column)
	}
	*t = FromUnix(seconds)
	return nil
}

// FromUnix is the time of Unix seconds in UTC, the zero time for 0.
func FromUnix(seconds int64) Time {
	if seconds == 0 {
		return Time{}
	}
	return Time{time.Unix(seconds, 0).UTC()}
}
