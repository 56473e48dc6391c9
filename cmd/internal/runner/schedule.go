package runner

import (
	"slices"
	"sort"
	"time"
)

const (
	// firstPause is how long a remote that failed gets no new work; each further
	// failure in a row doubles it.
	firstPause = 15 * time.Second
	// maxFaults in a row, with nothing that went well between them, and a remote is
	// given up for the rest of the run.
	maxFaults = 4
)

// A schedule decides which job is launched next, and where. It does nothing itself
// and knows no clock, so that whoever uses it is told everything by it.
type schedule struct {
	lanes map[string]*lane
	queue []*entry // in the order in which they are to be launched
}

// A lane is a remote as the schedule sees it.
type lane struct {
	name    string
	limit   int // how many jobs at once
	running int
	alone   bool // a job under way that is to be alone among its like
	faults  int  // in a row
	closed  bool // it gets no new work
	asked   bool // somebody is finding out whether it is well again
	until   time.Time
}

// lost tells whether the remote is given up.
func (l *lane) lost() bool { return l.faults >= maxFaults }

func (l *lane) takes(e *entry) bool {
	return !l.closed && l.running < l.limit && (!e.alone || !l.alone) && l != e.failed
}

// An entry is a job that waits.
type entry struct {
	job     int      // its index
	remotes []string // where it may be launched, the best first
	alone   bool
	failed  *lane // on which it was tried already
}

// newSchedule makes the schedule of jobs, of which those are left out that nothing
// is launched for.
func newSchedule(jobs []Job, parallel map[string]int) *schedule {
	s := &schedule{lanes: map[string]*lane{}}
	for i, job := range jobs {
		if job.settled() {
			continue
		}
		e := &entry{job: i, remotes: job.Remotes, alone: job.Alone}
		if len(e.remotes) == 0 {
			e.remotes = []string{job.Image.Remote}
		}
		for _, name := range e.remotes {
			if s.lanes[name] == nil {
				s.lanes[name] = &lane{name: name, limit: max(1, parallel[name])}
			}
		}
		s.queue = append(s.queue, e)
	}
	sort.SliceStable(s.queue, func(i, k int) bool { return jobs[s.queue[i].job].Expected > jobs[s.queue[k].job].Expected })
	return s
}

// next takes the first job that can be launched now from the queue, and a place on
// that of its remotes which has the most room left. It returns nil where there is none.
func (s *schedule) next() (*entry, *lane) {
	if !s.room() {
		return nil, nil
	}
	for i, e := range s.queue {
		var best *lane
		for _, name := range e.remotes {
			l := s.lanes[name]
			// The share of its places that is taken, without dividing.
			if l.takes(e) && (best == nil || l.running*best.limit < best.running*l.limit) {
				best = l
			}
		}
		if best != nil {
			s.queue = slices.Delete(s.queue, i, i+1)
			best.running++
			best.alone = best.alone || e.alone
			return e, best
		}
	}
	return nil, nil
}

// room tells whether any remote has any: with a thousand jobs in the queue, most often
// none has.
func (s *schedule) room() bool {
	for _, l := range s.lanes {
		if !l.closed && l.running < l.limit {
			return true
		}
	}
	return false
}

// elsewhere tells whether the job, which is under way on the lane, may be tried on
// another remote: once, and on one that is not given up.
func (s *schedule) elsewhere(e *entry, on *lane) bool {
	return e.failed == nil && slices.ContainsFunc(e.remotes, func(name string) bool {
		return name != on.name && !s.lanes[name].lost()
	})
}

// again puts a job back, as the first.
func (s *schedule) again(e *entry) { s.queue = slices.Insert(s.queue, 0, e) }

// shrink has a remote that was full take no more than what is still under way on it,
// and tells whether that is anything: there will be room again when that has ended.
func (s *schedule) shrink(l *lane) bool {
	if l.closed || l.running == 0 {
		return false
	}
	l.limit = l.running
	return true
}

// leave gives a job's place on the lane back.
func (s *schedule) leave(e *entry, l *lane) {
	l.running--
	if e.alone {
		l.alone = false
	}
}

// well notes that the remote did what it was asked.
func (s *schedule) well(l *lane) { l.faults = 0 }

// fault closes the lane for a while. Jobs that were under way when it was closed
// fail too, and tell nothing new: then it returns false.
func (s *schedule) fault(l *lane, now time.Time) bool {
	if l.closed {
		return false
	}
	l.closed = true
	l.until = now.Add(firstPause << l.faults)
	l.faults++
	return true
}

// reopen gives the lane new work again, or closes it for longer.
func (s *schedule) reopen(l *lane, well bool, now time.Time) {
	l.asked, l.closed = false, false
	if !well {
		s.fault(l, now)
	}
}

// due takes the lanes of which it is time to find out whether they are well again, as
// long as they are needed.
func (s *schedule) due(now time.Time) []*lane {
	var all []*lane
	for _, l := range s.waited() {
		if !now.Before(l.until) {
			l.asked = true
			all = append(all, l)
		}
	}
	return all
}

// wake is when due has something next; zero for never.
func (s *schedule) wake() time.Time {
	var first time.Time
	for _, l := range s.waited() {
		if first.IsZero() || l.until.Before(first) {
			first = l.until
		}
	}
	return first
}

// waited are the lanes that are closed for a while, by name.
func (s *schedule) waited() []*lane {
	var all []*lane
	if len(s.queue) == 0 {
		return nil
	}
	for _, l := range s.lanes {
		if l.closed && !l.asked && !l.lost() {
			all = append(all, l)
		}
	}
	return all
}

// stranded takes the jobs from the queue that none of their remotes will ever do.
func (s *schedule) stranded() []*entry {
	return s.take(func(e *entry) bool {
		return !slices.ContainsFunc(e.remotes, func(name string) bool {
			return s.lanes[name] != e.failed && !s.lanes[name].lost()
		})
	})
}

// all takes what is left of the queue.
func (s *schedule) all() []*entry { return s.take(func(*entry) bool { return true }) }

func (s *schedule) take(is func(*entry) bool) []*entry {
	var taken []*entry
	s.queue = slices.DeleteFunc(s.queue, func(e *entry) bool {
		if is(e) {
			taken = append(taken, e)
			return true
		}
		return false
	})
	return taken
}
