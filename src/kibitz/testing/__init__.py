"""Fakes and fixtures for the tests of programs that use Kibitz."""
