package checks

import (
	"context"
	"sync"
)

// facts remembers what was read, by name. Its zero value is ready, and safe
// for concurrent use: who asks for a fact that is just being read waits for it.
type facts struct {
	mu sync.Mutex
	m  map[string]*reading
}

type reading struct {
	mu    sync.Mutex
	done  bool
	value any
	err   error
}

// fact returns what read returned when it was first called for this name since
// it was forgotten. An error is remembered as well, so that everyone who asks
// is told, but not one that may come of the context's end.
func fact[T any](ctx context.Context, f *facts, name string, read func() (T, error)) (T, error) {
	r := f.reading(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return r.value.(T), r.err
	}
	value, err := read()
	if err == nil || ctx.Err() == nil {
		r.done, r.value, r.err = true, value, err
	}
	return value, err
}

func (f *facts) reading(name string) *reading {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.m[name]
	if !ok {
		if f.m == nil {
			f.m = make(map[string]*reading)
		}
		r = new(reading)
		f.m[name] = r
	}
	return r
}

// forget drops what is remembered under these names, or all of it for none.
func (f *facts) forget(names ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(names) == 0 {
		f.m = nil
	}
	for _, name := range names {
		delete(f.m, name)
	}
}
