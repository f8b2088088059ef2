"""For the tests of plugins: scripted servers over real sockets, and plugins registered for one test alone."""
