package fakevm

import (
	"io"
	"time"

	"github.com/canonical/lxd/shared/ws"
	"github.com/gorilla/websocket"
)

// replay gives the command what it is to say.
func (s *Server) replay(conns map[string]*websocket.Conn) (int, error) {
	given, err := io.ReadAll(ws.NewWrapper(conns["0"]))
	if err != nil {
		return -1, err
	}
	time.Sleep(s.Takes["exec"])
	_, err = ws.NewWrapper(conns["1"]).Write(s.Replay(given))
	return 0, err
}
