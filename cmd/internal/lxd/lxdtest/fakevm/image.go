package fakevm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"

	"github.com/canonical/lxd/shared/api"
)

func (s *Server) getImage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fingerprint := r.PathValue("fingerprint")
	properties, ok := s.Images[fingerprint]
	if !ok {
		return nil, notFound
	}
	img := api.Image{Fingerprint: fingerprint, Type: "virtual-machine", Architecture: "x86_64"}
	img.Properties = properties
	return img, nil
}

// upload takes an image's files, whatever is in them.
func (s *Server) upload(r *http.Request) (any, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			_, err = io.Copy(sum, part)
		}
		if err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addImage(hex.EncodeToString(sum.Sum(nil)), s.Metadata)
	return s.done(nil), nil
}

func (s *Server) addImage(fingerprint string, properties map[string]string) {
	if s.Images == nil {
		s.Images = map[string]map[string]string{}
	}
	s.Images[fingerprint] = properties
}

func (s *Server) deleteImage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.Images, r.PathValue("fingerprint"))
	return s.done(nil), nil
}
