"""MQTT: fermyon:spin/mqtt, and the publisher below it."""
