package checks

import (
	"context"
	"sync"
	"time"
)

// facts remembers what was read, by name. Its zero value is ready, and safe
// for concurrent use: who asks for a fact that is just being read waits for it.
type facts struct {
	mu sync.Mutex
	m  map[string]*reading
}

type reading struct {
	mu    sync.Mutex
	done  time.Time // zero until there is something to remember
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
	if !r.done.IsZero() {
		return r.value.(T), r.err
	}
	value, err := read()
	if err == nil || ctx.Err() == nil {
		r.done, r.value, r.err = time.Now(), value, err
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

// has tells whether something is remembered under that name.
func (f *facts) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.m[name]
	return ok
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

// maxFactAge is how old a fact may be when an item is looked at: what time alone
// changes, such as which processes there are, must be seen.
const maxFactAge = time.Second

// forgetOld drops what is older than that, and what is still being read.
func (f *facts) forgetOld() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, r := range f.m {
		if !r.mu.TryLock() {
			delete(f.m, name)
			continue
		}
		if !r.done.IsZero() && time.Since(r.done) > maxFactAge {
			delete(f.m, name)
		}
		r.mu.Unlock()
	}
}
