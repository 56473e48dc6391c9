package checks

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// moments are when something of the boot was first seen to be so. The zero value
// is ready, and safe for concurrent use.
type moments struct {
	mu     sync.Mutex
	looked map[string]bool // whether it was ever looked at
	seen   map[string]moment
}

type moment struct {
	at   time.Time
	late bool // it was so at the first look: it came then, or earlier
}

// systemUp is the moment at which init had started the system; those of the
// network go by the family.
const systemUp = "system"

// note takes down a look.
func (m *moments) note(what string, is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.seen == nil {
		m.looked, m.seen = map[string]bool{}, map[string]moment{}
	}
	if _, known := m.seen[what]; is && !known {
		m.seen[what] = moment{time.Now(), !m.looked[what]}
	}
	m.looked[what] = true
}

func (m *moments) of(what string) (moment, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.seen[what]
	return at, ok
}

// watchNetwork notes when an address of each family comes, until it is told to
// stop.
func (s *System) watchNetwork(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for !s.lookAtFamilies() && sleep(ctx, minReadyPause) == nil {
		}
	})
	return func() {
		cancel()
		watch.Wait()
	}
}

// lookAtFamilies notes which families have an address, and tells whether nothing is
// left to be seen.
func (s *System) lookAtFamilies() bool {
	links, err := s.links()
	if err != nil {
		return false
	}
	all := true
	for _, family := range []string{"ipv4", "ipv6"} {
		has := slices.ContainsFunc(links, func(l Link) bool { return !l.Loopback && l.has(family) })
		s.came.note(family, has)
		_, seen := s.came.of(family)
		all = all && seen
	}
	return all
}

// wantsFamilies tells whether the checks ask when an address came.
func wantsFamilies(list []Check) bool {
	return slices.ContainsFunc(list, func(c Check) bool {
		return slices.ContainsFunc(c.Items, func(it Item) bool {
			b, ok := it.Resource.(*Boot)
			return ok && (b.IPv4.IsSet() || b.IPv6.IsSet())
		})
	})
}

// A bootMoment is when something came, after the start of the guest. It may have
// come earlier where it is late.
type bootMoment struct {
	after time.Duration
	late  bool
}

// familyTime returns what finds out when an address of the family came.
func (s *System) familyTime(family string) func(context.Context, Matcher) (bootMoment, error) {
	return func(ctx context.Context, m Matcher) (bootMoment, error) {
		return s.whenCame(ctx, family, m, "there is no "+family+" address to talk to other networks with", func() error {
			if _, err := s.links(); err != nil {
				return err
			}
			s.lookAtFamilies()
			return nil
		})
	}
}

// bootTime finds out when init had started the system. Systemd knows that itself.
func (s *System) bootTime(ctx context.Context, m Matcher) (bootMoment, error) {
	const notYet = "the system has not started"
	if s.bootedSystemd() {
		var at bootMoment
		err := s.await(ctx, m, notYet, func(age time.Duration) (done bool, err error) {
			at, err = s.systemdFinish(ctx, age)
			return at.after > 0, err
		})
		return at, err
	}
	if _, err := s.bootManager(); err != nil {
		return bootMoment{}, err
	}
	return s.whenCame(ctx, systemUp, m, notYet, func() error {
		look, err := s.lookAtSystem(ctx)
		s.came.note(systemUp, look.booted)
		return err
	})
}

// whenCame returns when something was seen to have come. What has not is looked at
// on.
func (s *System) whenCame(ctx context.Context, what string, m Matcher, missing string, look func() error) (bootMoment, error) {
	var at bootMoment
	err := s.await(ctx, m, missing, func(age time.Duration) (bool, error) {
		seen, ok := s.came.of(what)
		if !ok {
			if err := look(); err != nil {
				return false, err
			}
			seen, ok = s.came.of(what)
		}
		at = bootMoment{max(0, age-time.Since(seen.at)), seen.late}
		return ok, nil
	})
	return at, err
}

// await looks until it is done, or until what came now would be too late for the
// matcher. age is how long ago the guest has started.
func (s *System) await(ctx context.Context, m Matcher, missing string, look func(age time.Duration) (done bool, err error)) error {
	for {
		age, err := s.age()
		if err != nil {
			return err
		}
		if done, err := look(age); done || err != nil {
			return err
		}
		if !m.Match(seconds(age)).OK {
			return fmt.Errorf("%s %s after the start", missing, age.Round(100*time.Millisecond))
		}
		if err := sleep(ctx, minReadyPause); err != nil {
			return inconclusive{context.Cause(ctx)}
		}
	}
}

// systemdFinish is when systemd was done with the boot; zero where it is not.
func (s *System) systemdFinish(ctx context.Context, age time.Duration) (bootMoment, error) {
	const property = "FinishTimestampMonotonic"
	out, err := s.run(ctx, "systemctl show", Command{Args: []string{"systemctl", "show", "--property=" + property}})
	if err != nil {
		return bootMoment{}, err
	}
	text, _ := strings.CutPrefix(strings.TrimSpace(string(out.Stdout)), property+"=")
	us, err := strconv.ParseInt(text, 10, 64)
	if err != nil || us < 0 {
		return bootMoment{}, inconclusivef("systemctl show: %s is %q", property, head(text, 40))
	}
	finish := time.Duration(us) * time.Microsecond
	if s.ownKernel() || us == 0 {
		return bootMoment{after: finish}, nil
	}
	_, awake, err := s.clocks()
	if err != nil {
		return bootMoment{}, err
	}
	return bootMoment{after: max(time.Millisecond, age-(awake-finish))}, nil
}

// initialPID is the name of the PID namespace that a kernel makes for itself; a
// container has another one.
const initialPID = "pid:[4026531836]"

// ownKernel tells whether the guest is a machine of its own, and no container.
func (s *System) ownKernel() bool {
	name, err := fs.ReadLink(s.FS, "proc/self/ns/pid")
	return err == nil && name == initialPID
}

// age is how long ago the guest has started: with its first process, or as a
// machine of its own with its kernel. /proc/uptime would not tell: it is the
// host's, or lxcfs's.
func (s *System) age() (time.Duration, error) {
	boot, _, err := s.clocks()
	if err != nil || s.ownKernel() {
		return boot, err
	}
	data, err := readStart(s.FS, "proc/1/stat", maxProcFile)
	if err != nil {
		return 0, inconclusive{err}
	}
	ticks, ok := statField(data, 22)
	if !ok {
		return 0, inconclusivef("/proc/1/stat does not say when the guest started")
	}
	return max(0, boot-time.Duration(ticks)*tick), nil
}

// tick is the unit of /proc's times, on all architectures that there are images for.
const tick = time.Second / 100

// statField is a number of /proc/PID/stat, counted from 1 as proc(5) does. Those up
// to the name are no numbers that matter.
func statField(stat []byte, n int) (int64, bool) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if i := n - 3; i >= 0 && i < len(fields) {
		v, err := strconv.ParseInt(string(fields[i]), 10, 64)
		return v, err == nil && v >= 0
	}
	return 0, false
}

// clocks are the time since the kernel's start, and that without what it slept.
func (s *System) clocks() (boot, awake time.Duration, err error) {
	read := s.Clocks
	if read == nil {
		read = readClocks
	}
	if boot, awake, err = read(); err != nil {
		return 0, 0, inconclusive{err}
	}
	return boot, awake, nil
}

// sleep waits, or returns why it could not.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
