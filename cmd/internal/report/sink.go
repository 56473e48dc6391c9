package report

import (
	"errors"
	"sync"
)

// Multi returns a Reporter that tells all of reporters, in their order. One
// that fails does not keep the others from being told; their errors are joined.
func Multi(reporters ...Reporter) Reporter { return multi(reporters) }

type multi []Reporter

func (m multi) Event(e Event) error {
	var errs []error
	for _, r := range m {
		errs = append(errs, r.Event(e))
	}
	return errors.Join(errs...)
}

func (m multi) Close(s Summary) error {
	var errs []error
	for _, r := range m {
		errs = append(errs, r.Close(s))
	}
	return errors.Join(errs...)
}

// Serialize returns a Reporter that may be used from several goroutines; r is
// told one thing at a time. Events after Close, of work that had no time to
// end, are dropped, as is a second Close.
func Serialize(r Reporter) Reporter { return &serial{reporter: r} }

type serial struct {
	mu       sync.Mutex
	reporter Reporter
	closed   bool
}

func (s *serial) Event(e Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.reporter.Event(e)
}

func (s *serial) Close(sum Summary) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.reporter.Close(sum)
}
