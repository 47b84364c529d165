package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Write writes one event as a line of an export.
func Write(w io.Writer, e Event) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write an audit event: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// VerifyFile checks an export of the whole log, without the key and without the server: that no
// event was changed, taken out, put in or moved. That it was not cut at its end, and that a server
// wrote it, only [Log.Verify] can say.
func VerifyFile(r io.Reader) (events int64, fault *Fault, err error) {
	var c chain
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	for {
		var e Event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			return c.last, nil, nil
		}
		if err != nil {
			return c.last, nil, fmt.Errorf("event %d of the export cannot be read: %w", c.last+1, err)
		}
		events := c.last
		if fault := c.next(e); fault != nil {
			return events, fault, nil
		}
	}
}
