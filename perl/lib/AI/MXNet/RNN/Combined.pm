package AI::MXNet::RNN::SequentialCell;
use 5.014;
use strict;
use warnings;
use AI::MXNet::RNN::Base;

# Cells made of cells: one on the other, both directions, and those that modify another.

our @ISA = ('AI::MXNet::RNN::Base');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ('params', prefix => '', params => undef) }

sub BUILD { my $self = shift; $self->{cells} = []; $self->{given_params} = !$self->{own_params}; return }

sub add
{
    my ($self, $cell) = @_;
    push @{ $self->{cells} }, $cell;
    $cell->params->_params->{$_} = $self->{params}->_params->{$_}
        for $self->{given_params} ? keys %{ $self->{params}->_params } : ();
    %{ $self->{params}->_params } = (%{ $self->{params}->_params }, %{ $cell->params->_params });
    return;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $_->reset for @{ $self->{cells} };
    return $self->SUPER::reset;
}

sub state_info
{
    return [map { @{ $_->state_info } } @{ $_[0]{cells} }];
}

sub begin_state
{
    my ($self, @given) = @_;
    AI::MXNet::RNN::Base::_fail(
        'After applying modifier cells (e.g. DropoutCell) the base cell cannot be called directly.')
        if $self->{modified};
    return [map { @{ $_->begin_state(@given) } } @{ $self->{cells} }];
}

# The states of each cell.
sub _shares
{
    my ($self, $states) = @_;
    my @states = @$states;
    return map { [splice @states, 0, scalar @{ $_->state_info }] } @{ $self->{cells} };
}

sub call
{
    my ($self, $input, $states) = @_;
    $self->{counter}++;
    my @shares = $self->_shares($states);
    my @next;
    for my $cell (@{ $self->{cells} }) {
        ($input, my $own) = $cell->call($input, shift @shares);
        push @next, @$own;
    }
    return ($input, \@next);
}

sub unroll
{
    my ($self, @args) = @_;
    my ($length, $arg) = $self->_unroll_arguments(@args);
    $self->reset;
    my @shares = $self->_shares($arg->{begin_state} // $self->begin_state);
    my ($inputs, @next) = $arg->{inputs};
    for my $cell (@{ $self->{cells} }) {
        my $is_last = $cell == $self->{cells}[-1];
        ($inputs, my $states) = $cell->unroll(
            $length, %$arg,
            inputs => $inputs,
            begin_state => shift @shares,
            merge_outputs => $is_last ? $arg->{merge_outputs} : undef
        );
        push @next, @$states;
    }
    return ($inputs, \@next);
}

for my $name (qw(unpack_weights pack_weights)) {
    no strict 'refs';
    *$name = sub {
        my ($self, $args) = @_;
        $args = $_->$name($args) for @{ $self->{cells} };
        return $args;
    };
}

package AI::MXNet::RNN::BidirectionalCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::SequentialCell');    ## no critic (ProhibitExplicitISA)

sub new
{
    my ($class, $left, $right, @given) = @_;
    my $self = $class->SUPER::new(@given);
    $self->add($_) for $left, $right;
    return $self;
}

sub _arguments { return ('params', prefix => '', params => undef, output_prefix => 'bi_') }

sub call { return AI::MXNet::RNN::Base::_fail('Bidirectional cannot be stepped. Please use unroll') }

sub unroll
{
    my ($self, @args) = @_;
    my ($length, $arg) = $self->_unroll_arguments(@args);
    $self->reset;
    my @inputs = @{ AI::MXNet::RNN::Base::split_steps($length, @{$arg}{qw(inputs layout input_prefix)}) };
    my @shares = $self->_shares($arg->{begin_state} // $self->begin_state);
    my ($left, $right) = @{ $self->{cells} };
    my %common = (layout => $arg->{layout}, merge_outputs => 0);
    my ($forward, $left_states) = $left->unroll($length, inputs => \@inputs, begin_state => $shares[0], %common);
    my ($back, $right_states) =
        $right->unroll($length, inputs => [reverse @inputs], begin_state => $shares[1], %common);
    my @outputs = map {
        AI::MXNet::Symbol->Concat(
            $forward->[$_], $back->[$length - 1 - $_],
            dim => 1,
            name => "$self->{output_prefix}t$_"
        )
    } 0 .. $length - 1;
    my $outputs = $arg->{merge_outputs} ? AI::MXNet::RNN::Base::merge_steps(\@outputs, $arg->{layout}) : \@outputs;
    return ($outputs, [$left_states, $right_states]);
}

package AI::MXNet::RNN::ModifierCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::Base');     ## no critic (ProhibitExplicitISA)

sub BUILD
{
    my $self = shift;
    my $base = $self->{base_cell};
    AI::MXNet::RNN::Base::_fail(ref($self) . ': got no cell to modify') if not ref $base;
    $base->{modified} = 1;
    $self->{prefix} = $base->{prefix};
    $self->{params} = $base->params;
    return;
}

sub base_cell { return $_[0]{base_cell} }
sub state_info { return $_[0]{base_cell}->state_info }
sub unpack_weights { my ($self, $args) = @_; return $self->{base_cell}->unpack_weights($args) }
sub pack_weights { my ($self, $args) = @_; return $self->{base_cell}->pack_weights($args) }

sub begin_state
{
    my ($self, @given) = @_;
    local $self->{base_cell}{modified} = 0;
    return $self->{base_cell}->begin_state(@given);
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    $self->{base_cell}->reset;
    return $self->SUPER::reset;
}

package AI::MXNet::RNN::DropoutCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::ModifierCell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ('base_cell', base_cell => undef, dropout_outputs => 0, dropout_states => 0) }

sub _drop { my ($rate, $symbol) = @_; return $rate > 0 ? AI::MXNet::Symbol->Dropout($symbol, p => $rate) : $symbol }

sub call
{
    my ($self, $input, $states) = @_;
    my ($output, $next) = $self->{base_cell}->call($input, $states);
    return (_drop($self->{dropout_outputs}, $output), [map { _drop($self->{dropout_states}, $_) } @$next]);
}

# A base that cannot step is unrolled whole.
sub unroll
{
    my ($self, @args) = @_;
    return $self->SUPER::unroll(@args) if not $self->{base_cell}->isa('AI::MXNet::RNN::BidirectionalCell');
    my ($length, $arg) = $self->_unroll_arguments(@args);
    local $self->{base_cell}{modified} = 0;
    my ($outputs, $states) = $self->{base_cell}->unroll($length, %$arg, merge_outputs => 0);
    my @outputs = map { _drop($self->{dropout_outputs}, $_) } @$outputs;
    my @states = map {
        [map { _drop($self->{dropout_states}, $_) } @$_]
    } @$states;
    return ($arg->{merge_outputs} ? AI::MXNet::RNN::Base::merge_steps(\@outputs, $arg->{layout}) : \@outputs, \@states);
}

package AI::MXNet::RNN::ZoneoutCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::ModifierCell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ('base_cell', base_cell => undef, zoneout_outputs => 0, zoneout_states => 0) }

sub BUILD
{
    my $self = shift;
    my $base = $self->{base_cell};
    AI::MXNet::RNN::Base::_fail('FusedRNNCell doesn\'t support zoneout. Please unfuse first.')
        if ref $base
        and $base->isa('AI::MXNet::RNN::FusedCell');
    return $self->SUPER::BUILD;
}

sub reset    ## no critic (ProhibitBuiltinHomonyms)
{
    my $self = shift;
    delete $self->{last_output};
    return $self->SUPER::reset;
}

# The new value, but where the mask of a dropout is 0 the old one.
sub _mixed
{
    my ($rate, $new, $old) = @_;
    return $new if $rate <= 0;
    my $mask = AI::MXNet::Symbol->Dropout(AI::MXNet::Symbol->ones_like($new), p => $rate);
    return AI::MXNet::Symbol->where($mask, $new, $old);
}

sub call
{
    my ($self, $input, $states) = @_;
    my ($new, $next) = $self->{base_cell}->call($input, $states);
    my $last = $self->{last_output} // AI::MXNet::Symbol->zeros_like($new);
    my $output = _mixed($self->{zoneout_outputs}, $new, $last);
    $self->{last_output} = $output;
    return ($output, [map { _mixed($self->{zoneout_states}, $next->[$_], $states->[$_]) } 0 .. $#$next]);
}

package AI::MXNet::RNN::ResidualCell;    ## no critic (ProhibitMultiplePackages)
use strict;
use warnings;

our @ISA = ('AI::MXNet::RNN::ModifierCell');    ## no critic (ProhibitExplicitISA)

sub _arguments { return ('base_cell', base_cell => undef) }

sub _plus
{
    my ($output, $input) = @_;
    return AI::MXNet::Symbol->elemwise_add($output, $input, name => $output->name . '_plus_residual');
}

sub call
{
    my ($self, $input, $states) = @_;
    my ($output, $next) = $self->{base_cell}->call($input, $states);
    return (_plus($output, $input), $next);
}

sub unroll
{
    my ($self, @args) = @_;
    my ($length, $arg) = $self->_unroll_arguments(@args);
    $self->reset;
    local $self->{base_cell}{modified} = 0;
    my $inputs = AI::MXNet::RNN::Base::split_steps($length, @{$arg}{qw(inputs layout input_prefix)});
    my ($outputs, $states) = $self->{base_cell}->unroll($length, %$arg, inputs => $inputs, merge_outputs => 0);
    my @outputs = map { _plus($outputs->[$_], $inputs->[$_]) } 0 .. $length - 1;
    return ($arg->{merge_outputs} ? AI::MXNet::RNN::Base::merge_steps(\@outputs, $arg->{layout}) : \@outputs, $states);
}

1;
