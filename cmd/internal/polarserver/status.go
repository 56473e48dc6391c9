package polarserver

import (
	"net/http"
	"time"
)

// productJSON is how a product's versions stand, on the wire.
type productJSON struct {
	Product  string       `json:"product"`
	Versions []statusJSON `json:"versions"`
}

type statusJSON struct {
	ID          int64            `json:"id"`
	Serial      string           `json:"serial"`
	State       string           `json:"state"`
	Created     time.Time        `json:"created_at"`
	Assessments []assessmentJSON `json:"assessments"`
	Reports     []reportJSON     `json:"reports"`
}

type assessmentJSON struct {
	Check        string    `json:"check"`
	InstanceType string    `json:"instance_type"`
	State        string    `json:"state"`
	Updated      time.Time `json:"updated_at"`
	Why          string    `json:"why,omitempty"`
}

type reportJSON struct {
	InstanceType string    `json:"instance_type"`
	Verdict      string    `json:"verdict"`
	Posted       time.Time `json:"posted_at"`
}

// getStatus tells how the versions of a product stand, or those of all.
func (s *server) getStatus(w http.ResponseWriter, r *http.Request) error {
	products, err := s.store.Overview(r.Context(), r.URL.Query().Get("product"), 0)
	if err != nil {
		return err
	}
	all := []productJSON{}
	for _, p := range products {
		one := productJSON{Product: p.Key, Versions: []statusJSON{}}
		for _, v := range p.Versions {
			status := statusJSON{
				ID: v.ID, Serial: v.Serial, State: v.State, Created: v.Created,
				Assessments: []assessmentJSON{}, Reports: []reportJSON{},
			}
			for _, a := range v.Assessments {
				status.Assessments = append(status.Assessments, assessmentJSON{a.Check, a.InstanceType, a.State, a.Updated, a.Why})
			}
			for _, rep := range v.Reports {
				status.Reports = append(status.Reports, reportJSON{rep.InstanceType, rep.Verdict, rep.Posted})
			}
			one.Versions = append(one.Versions, status)
		}
		all = append(all, one)
	}
	return answerData(w, http.StatusOK, all)
}
