package polarserver

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func (s *server) getProduct(w http.ResponseWriter, r *http.Request) error {
	key := r.PathValue("key")
	if !strings.Contains(key, ":") {
		raw, err := base64.URLEncoding.DecodeString(key)
		if err != nil {
			return errNotFound
		}
		key = string(raw)
	}
	p, err := s.store.Product(r.Context(), key)
	if err != nil {
		return err
	}
	return answerData(w, http.StatusOK, p)
}

// versionJSON is a version on the wire, where its state is not told.
type versionJSON struct {
	ID     int64  `json:"id"`
	Serial string `json:"serial"`
}

func (s *server) getVersion(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	v, err := s.store.Version(r.Context(), id, r.PathValue("serial"))
	if err != nil {
		return err
	}
	return answerData(w, http.StatusOK, versionJSON{v.ID, v.Serial})
}

func (s *server) createVersion(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	f, err := readFields(w, r, "version")
	if err != nil {
		return err
	}
	serial := f.text("serial")
	items := f.items("items")
	if err := f.err(); err != nil {
		return err
	}
	v, err := s.store.CreateVersion(r.Context(), id, serial, items, requestKey(r))
	if err != nil {
		return err
	}
	return answerData(w, http.StatusCreated, versionJSON{v.ID, v.Serial})
}

// items returns the value of a field that is a list of items.
func (f *fields) items(name string) []polarstore.Item {
	var list []map[string]json.RawMessage
	f.decode(name, &list)
	var items []polarstore.Item
	for _, values := range list {
		one := &fields{values, polarstore.InvalidError{}}
		it := polarstore.Item{
			Name: one.text("name"), FileType: one.text("file_type"), Hash: one.text("hash"),
			Size: one.number("size"), Path: one.text("path"), Combined: map[string]string{},
		}
		one.decode("is_metadata", &it.IsMetadata)
		var combined []struct{ Name, Hash string }
		one.decode("combined_hashes", &combined)
		for _, c := range combined {
			it.Combined[c.Name] = c.Hash
		}
		if len(one.wrong) > 0 {
			f.wrong[name] = "has an item whose " + one.wrong.Error()
			return nil
		}
		items = append(items, it)
	}
	return items
}

// eventJSON is an event on the wire.
type eventJSON struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

func (s *server) fireVersion(w http.ResponseWriter, r *http.Request) error {
	return s.fire(w, r, s.store.FireVersion)
}
