package polarserver

import (
	"context"
	"net/http"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func (s *server) getChecks(w http.ResponseWriter, r *http.Request) error {
	all, err := s.store.Checks(r.Context())
	if err != nil {
		return err
	}
	return answerData(w, http.StatusOK, all)
}

// clusterJSON is a cluster on the wire.
type clusterJSON struct {
	ID         int64          `json:"id"`
	Type       string         `json:"type"`
	Arch       string         `json:"arch"`
	State      string         `json:"current_state"`
	Credential credentialJSON `json:"credential"`
	// WaitTimes is how long testers are to wait for instances, which is for those
	// that cannot see when one is ready.
	WaitTimes []waitTimeJSON `json:"instance_wait_times"`
}

// credentialJSON is what opens a cluster. The passwords are of an older way to
// trust a client, and empty.
type credentialJSON struct {
	Endpoint     string `json:"endpoint"`
	Certificate  string `json:"certificate"`
	PrivateKey   string `json:"private_key"`
	Password     string `json:"password"`
	Confirmation string `json:"password_confirmation"`
}

type waitTimeJSON struct {
	Type     string `json:"type"`
	Duration int    `json:"duration"` // milliseconds
}

func (s *server) getClusters(w http.ResponseWriter, r *http.Request) error {
	all, err := s.store.Clusters(r.Context())
	if err != nil {
		return err
	}
	healthy := []clusterJSON{}
	for _, c := range all {
		if c.State != "healthy" {
			continue
		}
		healthy = append(healthy, clusterJSON{
			ID: c.ID, Type: c.Type, Arch: c.Arch, State: c.State,
			Credential: credentialJSON{Endpoint: c.Endpoint, Certificate: c.Certificate, PrivateKey: string(c.PrivateKey)},
			WaitTimes:  []waitTimeJSON{{"vm", 10_000}, {"container", 5_000}},
		})
	}
	return answerData(w, http.StatusOK, healthy)
}

func (s *server) createAssessment(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	f, err := readFields(w, r, "assessment")
	if err != nil {
		return err
	}
	check, cluster := f.number("check_id"), f.number("cluster_id")
	instanceType := f.text("instance_type")
	if err := f.err(); err != nil {
		return err
	}
	a, err := s.store.Assessment(r.Context(), id, check, cluster, instanceType)
	if err != nil {
		return err
	}
	return answerData(w, http.StatusOK, map[string]any{
		"id": a.ID, "current_state": a.State, "check": map[string]string{"slug": a.Check},
	})
}

func (s *server) fireAssessment(w http.ResponseWriter, r *http.Request) error {
	return s.fire(w, r, s.store.FireAssessment)
}

// fire answers a request for an event on what its path names.
func (s *server) fire(w http.ResponseWriter, r *http.Request, fire func(context.Context, int64, string, polarstore.By) (polarstore.Event, error)) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	f, err := readFields(w, r, "event")
	if err != nil {
		return err
	}
	name := f.text("name")
	by := polarstore.By{Actor: f.textOr("by", publisher), Comment: f.textOr("comment", ""), Key: requestKey(r)}
	if err := f.err(); err != nil {
		return err
	}
	ev, err := fire(r.Context(), id, name, by)
	if err != nil {
		return err
	}
	return answerData(w, http.StatusCreated, eventJSON{ev.ID, ev.Name})
}
