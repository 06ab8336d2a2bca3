package AI::MXNet::RNN;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Module;
use AI::MXNet::RNN::BucketSentenceIter;
use AI::MXNet::RNN::Cells;
use AI::MXNet::RNN::Combined;
use AI::MXNet::RNN::Conv;
use AI::MXNet::RNN::Fused;

my %class = (
    RNNCell => 'RNN::Cell',
    FusedRNNCell => 'RNN::FusedCell',
    SequentialRNNCell => 'RNN::SequentialCell',
    ConvRNNCell => 'RNN::ConvCell',
    BucketSentenceIter => 'BucketSentenceIter',
    map { $_ => "RNN::$_" }
        qw(LSTMCell GRUCell BidirectionalCell DropoutCell ZoneoutCell ResidualCell ConvLSTMCell ConvGRUCell),
);

for my $name (keys %class) {
    my $class = "AI::MXNet::$class{$name}";
    no strict 'refs';
    *$name = sub { my ($self, @args) = @_; return $class->new(@args) };
}

# Words to numbers: (\@coded, \%vocab).
sub encode_sentences
{
    my ($class, $sentences, %given) = @_;
    my %arg = (vocab => undef, invalid_label => -1, invalid_key => "\n", start_label => 0, %given);
    my $vocab = $arg{vocab} // { $arg{invalid_key} => $arg{invalid_label} };
    my $next = $arg{start_label};
    my @coded;
    for my $sentence (@$sentences) {
        for my $word (@$sentence) {
            next if exists $vocab->{$word};
            AI::MXNet::Keshi::fail("Unknown token: $word") if $arg{vocab};
            $next++ if $next == $arg{invalid_label};
            $vocab->{$word} = $next++;
        }
        push @coded, [@{$vocab}{@$sentence}];
    }
    return (\@coded, $vocab);
}

sub _cells { return ref $_[0] eq 'ARRAY' ? @{ $_[0] } : $_[0] }

sub save_rnn_checkpoint
{
    my ($class, $cells, $prefix, $epoch, $symbol, $arg_params, $aux_params) = @_;
    $arg_params = $_->unpack_weights($arg_params) for _cells($cells);
    return AI::MXNet::Module->model_save_checkpoint($prefix, $epoch, $symbol, $arg_params, $aux_params);
}

sub load_rnn_checkpoint
{
    my ($class, $cells, $prefix, $epoch) = @_;
    my ($symbol, $arg, $aux) = AI::MXNet::Module->load_checkpoint($prefix, $epoch);
    $arg = $_->pack_weights($arg) for _cells($cells);
    return ($symbol, $arg, $aux);
}

# A callback for the end of epochs.
sub do_rnn_checkpoint
{
    my ($class, $cells, $prefix, $period) = @_;
    $period = $period && $period > 1 ? int $period : 1;
    return sub {
        my ($epoch, $symbol, $arg, $aux) = @_;
        $class->save_rnn_checkpoint($cells, $prefix, $epoch + 1, $symbol, $arg, $aux) if ($epoch + 1) % $period == 0;
        return;
    };
}

1;

__END__

=head1 NAME

AI::MXNet::RNN - recurrent cells of symbols, and sentences

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $stack = mx->rnn->SequentialRNNCell;
    $stack->add(mx->rnn->LSTMCell(8, prefix => 'first_'));
    $stack->add(mx->rnn->GRUCell(8, prefix => 'second_'));
    my ($outputs, $states) = $stack->unroll(3, inputs => mx->sym->Variable('data'), merge_outputs => 1);
    my (undef, $shapes) = $outputs->infer_shape(data => [2, 3, 5]);
    print join('x', @{ $shapes->[0] }), "\n";                                                    # 2x3x8
    my ($coded, $vocabulary) = mx->rnn->encode_sentences([[qw(a cat)], [qw(a dog)]], start_label => 1, invalid_label => 0);
    print join(' ', map { "@$_" } @$coded), "\n";                                                # 1 2 1 3

=head1 DESCRIPTION

    RNNCell($hidden, prefix => 'rnn_', activation => 'tanh')     LSTMCell($hidden, forget_bias => 1)       GRUCell($hidden)
    FusedRNNCell($hidden, num_layers => 1, mode => 'lstm', bidirectional => 0, dropout => 0, get_next_state => 0)
    SequentialRNNCell, add                                       BidirectionalCell($left, $right)
    DropoutCell($cell, dropout_outputs => 0, dropout_states => 0)    ZoneoutCell($cell, ...)         ResidualCell($cell)
    ConvRNNCell(input_shape =>, num_hidden =>, ...)              ConvLSTMCell(...)                         ConvGRUCell(...)

A cell is called with an input and a list of states and returns the output and the next states. C<unroll($length, inputs =>,
begin_state =>, layout => 'NTC', merge_outputs =>)> does so for a sequence; inputs are one symbol, a list, or variables of its
own. C<begin_state> makes the first states, C<state_info> tells what they are. C<params> holds the variables.
C<unpack_weights> gives each gate arrays of its own, C<pack_weights> goes back; C<unfuse> turns the fused cell, which is one
operator, into cells that step and take the same unpacked weights.

C<save_rnn_checkpoint($cells, $prefix, $epoch, $symbol, \%arg, \%aux)>, C<load_rnn_checkpoint($cells, $prefix, $epoch)> and
C<do_rnn_checkpoint($cells, $prefix, $period)> keep unpacked weights in files.

C<BucketSentenceIter($sentences, $batch_size, buckets =E<gt>, invalid_label =E<gt> -1)> feeds coded sentences in batches of a few
lengths, for L<AI::MXNet::Module::Bucketing>.

=cut
