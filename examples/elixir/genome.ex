defmodule Genome do
  @moduledoc "Bases, GC and the longest open reading frame of a genome."

  @stops ["TAA", "TAG", "TGA"]

  def handler(event, context) do
    sequence = event |> sequence() |> String.upcase()

    with [{at, 1}] <- Regex.run(~r/[^ACGTN]/, sequence, return: :index) do
      message = "no base: #{binary_part(sequence, at, 1)} at #{at + 1}"
      raise Lambda.Failure, type: "InvalidSequence", message: message
    end

    bases = byte_size(sequence)
    IO.puts("#{bases} bases, #{context.deadline_ms - System.os_time(:millisecond)} ms left")
    gc = for(<<base <- sequence>>, base in [?G, ?C], do: base) |> length()
    longest = 0..2 |> Enum.map(&longest_orf(sequence, &1)) |> Enum.max()
    ~s({"bases":#{bases},"gc":#{gc},"longest_orf":#{longest}})
  end

  # The one member of the event; a genome has nothing that JSON escapes.
  defp sequence(event) do
    case Regex.run(~r/"sequence"\s*:\s*"([^"\\]*)"/, event) do
      [_, sequence] -> sequence
      nil -> raise Lambda.Failure, type: "InvalidEvent", message: "no member sequence"
    end
  end

  defp longest_orf(sequence, frame) when byte_size(sequence) <= frame, do: 0

  defp longest_orf(sequence, frame) do
    codons = for <<codon::binary-3 <- binary_part(sequence, frame, byte_size(sequence) - frame)>>, do: codon

    {_length, longest} =
      Enum.reduce(codons, {0, 0}, fn
        "ATG", {0, longest} -> {1, longest}
        _codon, {0, longest} -> {0, longest}
        codon, {length, longest} when codon in @stops -> {0, max(length, longest)}
        _codon, {length, longest} -> {length + 1, longest}
      end)

    longest
  end
end
