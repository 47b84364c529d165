package database

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
)

// A List is a list of strings that is always read and written whole: JSON in a TEXT column.
type List []string

// Value implements [driver.Valuer].
func (l List) Value() (driver.Value, error) {
	if l == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]string(l))
	return string(text), err
}

// Scan implements [sql.Scanner].
func (l *List) Scan(column any) error {
	switch text := column.(type) {
	case string:
		return json.Unmarshal([]byte(text), (*[]string)(l))
	case []byte:
		return json.Unmarshal(text, (*[]string)(l))
	}
	return fmt.Errorf("a list is stored as text, not %T", column)
}
