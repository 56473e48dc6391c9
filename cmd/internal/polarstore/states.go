package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A By says who causes an event, and why if they say so. Key, where there is one,
// names the request: the same one again is answered as before, and does nothing.
type By struct {
	Actor   string
	Comment string
	Key     string
}

const (
	maxActor   = 200  // bytes
	maxComment = 2000 // bytes
)

// check tells what is wrong with it. A comment may have several lines.
func (by By) check() error {
	wrong := InvalidError{}
	if len(by.Actor) > maxActor || !printable(by.Actor) {
		wrong["by"] = fmt.Sprintf("must be at most %d bytes that print", maxActor)
	}
	if len(by.Comment) > maxComment || !printable(strings.NewReplacer("\n", "", "\t", "").Replace(by.Comment)) {
		wrong["comment"] = fmt.Sprintf("must be at most %d bytes that print", maxComment)
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// asked is what tells a request for the event from others.
func (by By) asked(m machine, id int64, event string) any {
	return []any{m.what, id, event, by.Actor, by.Comment}
}

// serverActor is the actor of what happens by itself.
const serverActor = "polar"

// An Event is a change of state of a version or an assessment.
type Event struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Actor   string    `json:"actor"`
	Comment string    `json:"comment,omitempty"`
	Time    time.Time `json:"time"`
}

// A machine is the states that rows of a table go through. The names of tables
// and columns in it are constants of this file.
type machine struct {
	what  string // for people
	table string
	log   string // the table of its events
	owner string // the column of log that refers to table
	moves []move
}

// A move is what an event does.
type move struct {
	event string
	from  []string
	to    string
}

func versionStates() machine {
	return machine{"version", "versions", "version_events", "version_id", []move{
		{"test", []string{"created", "testing", "inactive"}, "testing"},
		{"activate", []string{"testing"}, "active"},
		{"deactivate", []string{"testing", "active"}, "inactive"},
	}}
}

func assessmentStates() machine {
	return machine{"assessment", "assessments", "assessment_events", "assessment_id", []move{
		{"run", []string{"created", "failed", "running"}, "running"},
		{"pass", []string{"running"}, "passed"},
		{"fail", []string{"running"}, "failed"},
	}}
}

// fire makes the row's move for the event and logs it. tx is an immediate
// transaction, so that nobody moves the row between look and move: of two events
// at once, the second one sees what the first one did.
func (m machine) fire(ctx context.Context, tx *sql.Tx, id int64, event string, by By, now time.Time) (Event, error) {
	i := slices.IndexFunc(m.moves, func(mv move) bool { return mv.event == event })
	if i < 0 {
		return Event{}, InvalidError{"name": Invalid}
	}
	if err := by.check(); err != nil {
		return Event{}, err
	}
	mv := m.moves[i]
	var from string
	err := tx.QueryRowContext(ctx, "SELECT state FROM "+m.table+" WHERE id = ?", id).Scan(&from)
	if errors.Is(err, sql.ErrNoRows) {
		return Event{}, &NotFoundError{m.what, strconv.FormatInt(id, 10)}
	}
	if err != nil {
		return Event{}, fmt.Errorf("%s %s %d: %w", event, m.what, id, err)
	}
	if !slices.Contains(mv.from, from) {
		return Event{}, &StateError{What: m.what, ID: id, State: from, Event: event}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE "+m.table+" SET state = ? WHERE id = ?", mv.to, id); err != nil {
		return Event{}, fmt.Errorf("%s %s %d: %w", event, m.what, id, err)
	}
	ev := Event{Name: event, From: from, To: mv.to, Actor: by.Actor, Comment: by.Comment, Time: moment(millis(now))}
	err = tx.QueryRowContext(ctx, "INSERT INTO "+m.log+" ("+m.owner+", name, from_state, to_state, actor, comment, created_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id", id, ev.Name, ev.From, ev.To, ev.Actor, ev.Comment, millis(now)).Scan(&ev.ID)
	if err != nil {
		return Event{}, fmt.Errorf("%s %s %d: %w", event, m.what, id, err)
	}
	return ev, nil
}

// events returns the row's events, oldest first.
func (m machine) events(ctx context.Context, q querier, id int64) ([]Event, error) {
	all, err := list(ctx, q, scanEvent, "SELECT id, name, from_state, to_state, actor, comment, created_at FROM "+m.log+
		" WHERE "+m.owner+" = ? ORDER BY id", id)
	if err != nil {
		return nil, fmt.Errorf("list events of %s %d: %w", m.what, id, err)
	}
	return all, nil
}

func scanEvent(scan func(...any) error) (ev Event, err error) {
	var at int64
	err = scan(&ev.ID, &ev.Name, &ev.From, &ev.To, &ev.Actor, &ev.Comment, &at)
	ev.Time = moment(at)
	return ev, err
}
