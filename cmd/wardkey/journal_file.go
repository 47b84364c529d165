package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// An entry is a line of the journal: a revocation, a limit that was set or lifted, or the mark of a
// backup that was restored.
type entry struct {
	At         time.Time `json:"at,omitzero"`
	Event      string    `json:"event,omitempty"` // of the audit log; none for what is older than it
	Seq        int64     `json:"seq"`             // of that event; of a mark, where the restored log ends
	Hash       string    `json:"hash,omitempty"`  // of that event
	Action     string    `json:"action,omitempty"`
	TargetKind string    `json:"target_kind,omitempty"`
	TargetID   string    `json:"target_id,omitempty"`
	TargetName string    `json:"target_name,omitempty"`
	ClientID   string    `json:"client_id,omitempty"`
	By         string    `json:"by,omitempty"`
	RestoredAt time.Time `json:"restored_at,omitzero"` // only of a mark

	// Only of an update of them: what they became. An end that is zero is none.
	Disabled  *bool      `json:"disabled,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`

	had time.Time // the end that is to be made sooner
}

func (e entry) isMark() bool { return !e.RestoredAt.IsZero() }

// A position is a place in the audit log: the number and hash of an event, zero before the first.
type position struct {
	seq  int64
	hash string
}

// lastPosition is the place in the audit log up to which a journal with these lines was written.
func lastPosition(known []entry) position {
	for _, e := range slices.Backward(known) {
		if e.isMark() || e.Seq > 0 {
			return position{e.Seq, e.Hash}
		}
	}
	return position{}
}

// lacking are the entries that are not among the known ones.
func lacking(entries, known []entry) []entry {
	type name struct{ event, target string }
	named := func(e entry) name {
		if e.Event != "" {
			return name{event: e.Event}
		}
		return name{target: e.TargetID}
	}
	have := map[name]bool{}
	for _, e := range known {
		have[named(e)] = true
		if e.Action == deleteClient { // a tombstone says nothing that this does not
			have[name{target: e.TargetID}] = true
		}
	}
	var found []entry
	for _, e := range entries {
		if !have[named(e)] {
			found = append(found, e)
		}
	}
	return found
}

// errJournalLine says what to do about a journal that cannot be read.
var errJournalLine = errors.New("the journal of revocations was changed by something else: put back a copy of it, or take that line out; without the file the next start makes it anew, but then nobody knows what a backup brings back")

// readEntries reads the lines of a journal, and says where the last whole one ends.
func readEntries(r io.Reader) (all []entry, end int64, err error) {
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, end, nil // a line without its end was torn
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil || !e.isMark() && (e.Action == "" || e.TargetID == "") {
			return nil, 0, fmt.Errorf("line %d cannot be read: %w", n, errJournalLine)
		}
		all = append(all, e)
		end += int64(len(line))
	}
}

// A journalFile is the journal, held so that no other server of the same data directory writes it
// at the same time.
type journalFile struct{ *os.File }

func openJournalFile(path string) (*journalFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		err = lockFile(f)
	}
	if err != nil {
		return nil, fmt.Errorf("open the journal of revocations: %w", err)
	}
	return &journalFile{f}, nil
}

// read reads all lines, cuts off one that was torn and says how long that was.
func (f *journalFile) read() (all []entry, torn int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	all, end, err := readEntries(io.NewSectionReader(f, 0, info.Size()))
	if err != nil {
		return nil, 0, err
	}
	if torn = info.Size() - end; torn > 0 {
		err = f.Truncate(end)
	}
	return all, torn, err
}

// tail reads what another server wrote behind the size that is known. It is not whole if the file
// does not continue what is known, or a line was torn.
func (f *journalFile) tail(size int64) (fresh []entry, whole bool, err error) {
	info, err := f.Stat()
	if err != nil || info.Size() < size {
		return nil, false, err
	}
	fresh, length, err := readEntries(io.NewSectionReader(f, size, info.Size()-size))
	return fresh, err == nil && size+length == info.Size(), nil
}

// append writes lines, all or none, and returns the size of the file. What is in it is on the disk
// then, also what was written before and could not be synced.
func (f *journalFile) append(lines []entry) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size = info.Size()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return 0, err
		}
	}
	n, err := f.Write(text.Bytes())
	if err == nil {
		err = f.Sync()
	}
	if err == nil && size == 0 {
		err = syncDir(filepath.Dir(f.Name()))
	}
	if err != nil {
		return 0, errors.Join(err, f.Truncate(size))
	}
	return size + int64(n), nil
}

// syncDir brings a new file's name onto the disk.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
