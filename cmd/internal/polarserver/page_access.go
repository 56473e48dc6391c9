package polarserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// maySee returns nil where the request may see the pages: it comes straight from this
// machine and they are open there, or it brings the password.
func (s *server) maySee(r *http.Request) error {
	if s.openPages && isStraight(r) {
		return nil
	}
	_, password, ok := r.BasicAuth()
	if !ok {
		return polarstore.ErrNoSession
	}
	err := s.store.CheckSession(r.Context(), s.visitor.session(password))
	if !errors.Is(err, polarstore.ErrNoSession) {
		return err
	}
	token, err := s.login(r, password)
	if err != nil {
		return err
	}
	s.visitor.remember(password, token)
	return nil
}

// isStraight tells whether a browser on this machine sent the request to this
// machine. One that asks for another name was led here by somebody's website, and
// a forwarded one comes from anywhere.
func isStraight(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !isLoopback(from) {
		return false
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	return host == "localhost" || isLoopback(host)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// A visitor is the last one who had the password. Browsers send it with each request,
// and comparing it is slow on purpose: so what is compared is a hash with a key that
// is nowhere else, and the session that the password opened has to be valid still.
type visitor struct {
	key []byte

	mu    sync.Mutex
	sum   []byte // of the password
	token string // of its session
}

func newVisitor() *visitor {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &visitor{key: key}
}

// session returns the token of the session that the password opened, or nothing.
func (v *visitor) session(password string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !hmac.Equal(v.sum, v.hash(password)) {
		return ""
	}
	return v.token
}

func (v *visitor) remember(password, token string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sum, v.token = v.hash(password), token
}

func (v *visitor) hash(password string) []byte {
	h := hmac.New(sha256.New, v.key)
	h.Write([]byte(password))
	return h.Sum(nil)
}
