%% Bases, GC and the longest open reading frame of a genome.
-module(genome).
-export([handler/2]).

handler(Event, #{deadline_ms := Deadline}) ->
    Sequence = string:uppercase(sequence(Event)),
    Bases = byte_size(Sequence),
    Gc = count_gc(Sequence, 1, 0),
    io:format("~b bases, ~b ms left~n", [Bases, Deadline - erlang:system_time(millisecond)]),
    Longest = lists:max([longest_orf(Sequence, Frame) || Frame <- [0, 1, 2]]),
    io_lib:format("{\"bases\":~b,\"gc\":~b,\"longest_orf\":~b}", [Bases, Gc, Longest]).

%% The one member of the event; a genome has nothing that JSON escapes.
sequence(Event) ->
    case re:run(Event, "\"sequence\"\\s*:\\s*\"([^\"\\\\]*)\"", [{capture, all_but_first, binary}]) of
        {match, [Sequence]} -> Sequence;
        nomatch -> throw({'InvalidEvent', "no member sequence"})
    end.

count_gc(<<Base, Rest/binary>>, At, Gc) when Base =:= $G; Base =:= $C -> count_gc(Rest, At + 1, Gc + 1);
count_gc(<<Base, Rest/binary>>, At, Gc) when Base =:= $A; Base =:= $T; Base =:= $N -> count_gc(Rest, At + 1, Gc);
count_gc(<<Base, _/binary>>, At, _) -> throw({'InvalidSequence', io_lib:format("no base: ~c at ~b", [Base, At])});
count_gc(<<>>, _, Gc) -> Gc.

longest_orf(Sequence, Frame) when byte_size(Sequence) =< Frame -> 0;
longest_orf(Sequence, Frame) ->
    <<_:Frame/binary, Codons/binary>> = Sequence,
    orf(Codons, 0, 0).

orf(<<"ATG", Rest/binary>>, 0, Longest) -> orf(Rest, 1, Longest);
orf(<<_:3/binary, Rest/binary>>, 0, Longest) -> orf(Rest, 0, Longest);
orf(<<Codon:3/binary, Rest/binary>>, Length, Longest) when
    Codon =:= <<"TAA">>; Codon =:= <<"TAG">>; Codon =:= <<"TGA">>
->
    orf(Rest, 0, max(Length, Longest));
orf(<<_:3/binary, Rest/binary>>, Length, Longest) -> orf(Rest, Length + 1, Longest);
orf(_, _, Longest) -> Longest.
