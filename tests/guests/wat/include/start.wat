  ;; Start $Guest with what imports.wat and lib.wat offer.
  (core instance $guest (instantiate $Guest
    (with "memory" (instance $memory)) (with "host" (instance $host)) (with "lib" (instance $lib))))
