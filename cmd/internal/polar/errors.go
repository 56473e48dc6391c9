package polar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrWrongPassword says that Polar does not know the password.
var ErrWrongPassword = errors.New("wrong password")

// A NotFoundError says that Polar has no such thing.
type NotFoundError struct {
	What string // product, version, assessment …
	Name string // its key, serial or id
}

func (e *NotFoundError) Error() string { return "404 not found" }

// A RefusedError says that Polar did not do what it was asked for. Polar 0.2
// answers 500 both for a change that the state does not allow and for a crash,
// so that after a 500 the change may still have been made.
type RefusedError struct {
	What   string // e.g. version 12
	Event  string // e.g. activate
	Status int    // 409 or 500
	State  string // that refuses it, where the server tells it
	Reason string // where the server tells it
}

func (e *RefusedError) Error() string {
	switch {
	case e.Status != http.StatusConflict:
		return "refused, or the server failed (500)"
	case e.Reason == "":
		return "refused"
	}
	return "refused: " + e.Reason
}

// An UnreachableError says that no answer came, or a part of one.
type UnreachableError struct {
	Endpoint string
	Err      error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Endpoint, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A StatusError is an answer that says neither yes nor anything above.
type StatusError struct {
	Status int
	Reason string // where the server tells it
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, strings.ToLower(http.StatusText(e.Status)))
	if e.Reason == "" {
		return text
	}
	return text + ": " + e.Reason
}

// uncertain tells whether the change that err is about may have been made all
// the same.
func uncertain(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	// A gateway's page in the answer's place, or the end of all that we wait.
	if errors.Is(err, errMalformed) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*UnreachableError](err); ok {
		return true
	}
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.Status == http.StatusInternalServerError
	}
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Status >= 500
}

// Away tells whether err says no more than that Polar, or the way there, is out of
// order: what it did not take now, it may take later.
func Away(err error) bool {
	if errors.Is(err, errMalformed) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*UnreachableError](err); ok {
		return true
	}
	status, ok := errors.AsType[*StatusError](err)
	return ok && (status.Status >= 500 || status.Status == http.StatusTooManyRequests)
}

// isConflict tells whether err is a refusal that surely is none by accident.
func isConflict(err error) bool {
	refused, ok := errors.AsType[*RefusedError](err)
	return ok && refused.Status == http.StatusConflict
}

// isServerError tells whether the server failed, or says so where it means no.
func isServerError(err error) bool {
	status, ok := errors.AsType[*StatusError](err)
	return ok && status.Status == http.StatusInternalServerError
}
