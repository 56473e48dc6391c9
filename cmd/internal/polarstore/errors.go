package polarstore

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A NotFoundError says that there is no such thing.
type NotFoundError struct {
	What string // product, version, check …
	Name string
}

func (e *NotFoundError) Error() string { return e.What + " " + e.Name + " not found" }

func isNotFound(err error) bool {
	var missing *NotFoundError
	return errors.As(err, &missing)
}

// A RefusedError says why a change is not made that the state of things forbids.
type RefusedError struct {
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// A StateError is the RefusedError for an event that a state does not allow.
type StateError struct {
	What  string // version, assessment
	ID    int64
	State string // that it is in
	Event string
}

func (e *StateError) Error() string {
	return fmt.Sprintf("%s %d is %s: %s is refused", e.What, e.ID, e.State, e.Event)
}

func (e *StateError) Unwrap() error { return &RefusedError{e.Error()} }

// An InvalidError says what is wrong with values, by field.
type InvalidError map[string]string

func (e InvalidError) Error() string {
	var parts []string
	for _, field := range slices.Sorted(maps.Keys(e)) {
		parts = append(parts, field+" "+e[field])
	}
	return strings.Join(parts, ", ")
}

// IsFull tells whether err says that there is no space left for the store.
func IsFull(err error) bool {
	var database *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || errors.As(err, &database) && database.Code()&0xff == sqlite3.SQLITE_FULL
}

// The messages that an InvalidError has for a field that is missing or wrong.
const (
	Blank   = "can't be blank"
	Invalid = "is invalid"
)
