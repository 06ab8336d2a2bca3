package AI::MXNet::Gluon::RNN;
use 5.014;
use strict;
use warnings;
use AI::MXNet;
use AI::MXNet::NS 'global';
use AI::MXNet::Gluon::RNN::Cells;
use AI::MXNet::Gluon::RNN::Combined;
use AI::MXNet::Gluon::RNN::Layers;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::RNN - recurrent cells and layers

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon qw(gluon);
    my $layer = gluon->rnn->GRU(8, 2, input_size => 3);    # two layers of 8
    $layer->initialize;
    my $x = nd->ones([5, 1, 3]);                           # time, batch, channel
    print $layer->($x), "\n";
    my $result = $layer->($x, $layer->begin_state(1));
    print "$result->[0] $result->[1][0]\n";

    my $cell = gluon->rnn->LSTMCell(4, input_size => 3);
    $cell->initialize;
    my ($outputs, $states) = $cell->unroll(5, $x, layout => 'TNC');
    print scalar(@$outputs), " outputs, ", scalar(@$states), " states\n";

=head1 DESCRIPTION

=head2 Layers

C<RNN(hidden_size, num_layers =E<gt> 1, activation =E<gt> 'relu', ...)>, C<LSTM(hidden_size, num_layers =E<gt> 1, ...)> and
C<GRU> run all steps of a sequence at once. They take C<layout> (C<TNC> or C<NTC>), C<dropout> (between layers),
C<bidirectional>, C<input_size> and initializers. Called with an array they return the outputs; called with an array and states
(C<begin_state($batch_size)>) they return outputs and a list of the last states.

=head2 Cells

C<RNNCell(hidden_size, activation =E<gt> 'tanh', ...)>, C<LSTMCell> and C<GRUCell> do one step:
C<< ($output, $states) = $cell->($input, $states) >>. C<SequentialRNNCell> (C<add($cell)>), C<BidirectionalCell($left,
$right)>, C<DropoutCell($rate)>, C<ZoneoutCell($cell, $outputs, $states)> and C<ResidualCell($cell)> combine and modify them.

=over 4

=item begin_state(batch_size => 0, func =>), state_info($batch_size), reset

States to begin with, zeros unless a sub makes them.

=item unroll($length, $inputs, begin_state =>, layout => 'NTC', merge_outputs =>, valid_length =>)

Runs a sequence: an array, or a list of arrays for the steps. Returns the outputs, as a list or as one array with
C<merge_outputs>, and the last states. With C<valid_length>, an array, steps beyond the length of a sequence give 0, and its
states are those of its last step; the outputs are one array then, unless C<merge_outputs> is 0.

=back

=cut
