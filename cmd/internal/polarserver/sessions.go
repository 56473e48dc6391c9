package polarserver

import (
	"errors"
	"net/http"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// publisher is the actor of what comes through the API and does not say by whom:
// whoever has the password.
const publisher = "publisher"

// authenticated lets requests with a session's token through.
func (s *server) authenticated(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.store.CheckSession(r.Context(), r.Header.Get("Authorization")); err != nil {
			return err
		}
		return h(w, r)
	}
}

func (s *server) createSession(w http.ResponseWriter, r *http.Request) error {
	f, err := readFields(w, r, "user")
	if err != nil {
		return err
	}
	password := f.text("password")
	if err := f.err(); err != nil {
		return err
	}
	token, err := s.login(r, password)
	if err != nil {
		return err
	}
	w.Header().Set(extensionsHeader, extensions())
	return answerData(w, http.StatusCreated, map[string]string{"token": token})
}

// login exchanges the password that the request brings for a session's token.
func (s *server) login(r *http.Request, password string) (token string, err error) {
	ctx := r.Context()
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	// Asked here, where only a few logins are at once, the limits are not outrun.
	from, now := clientAddress(r), s.now()
	if wait := s.logins.wait(from, now); wait > 0 {
		return "", &tooOftenError{wait}
	}
	token, err = s.store.CreateSession(ctx, password)
	if errors.Is(err, polarstore.ErrWrongPassword) {
		s.logins.fail(from, now)
	}
	if err != nil {
		return "", err
	}
	s.logins.succeed(from)
	return token, nil
}
