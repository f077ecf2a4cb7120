  ;; Export "handle" of $guest, and "callback" for what it waits for, as the handler of wasi:http 0.3.
  (func $handle async (param "request" (own $request)) (result (result (own $response) (error $error-code)))
    (canon lift (core func $guest "handle") async (callback (core func $guest "callback")) (memory $mem)
      (realloc $realloc)))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/handler@0.3.0" (instance $handler))
