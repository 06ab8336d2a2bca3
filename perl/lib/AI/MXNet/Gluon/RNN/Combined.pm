package AI::MXNet::Gluon::RNN::Combined;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::RNN::Cells;

# Cells made of cells: one after another, forward and backward, and changed by dropout, zoneout and shortcuts.

# The states of such a cell are those of its cells.
package AI::MXNet::Gluon::RNN::Several;    ## no critic (ProhibitMultiplePackages)
use Mouse::Role;

sub state_info
{
    my ($self, $batch_size) = @_;
    return [map { @{ $_->state_info($batch_size) } } $self->_cells];
}

sub begin_state
{
    my ($self, @args) = @_;
    $self->_check_not_modified;
    return [map { @{ $_->begin_state(@args) } } $self->_cells];
}

no Mouse::Role;

package AI::MXNet::Gluon::RNN::SequentialRNNCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
use AI::MXNet::Function::Parameters;
extends 'AI::MXNet::Gluon::RNN::RecurrentCell';
with 'AI::MXNet::Gluon::RNN::Several';
use overload '@{}' => sub { return [$_[0]->_cells] };

sub _cells { return $_[0]{_children}->values }

sub add
{
    my ($self, @cells) = @_;
    $self->register_child($_) for @cells;
    return;
}

sub forward
{
    my ($self, $input, $states) = @_;
    my @left = @$states;
    my @next;
    for my $cell ($self->_cells) {
        my @own = splice @left, 0, scalar @{ $cell->state_info };
        ($input, my $after) = $cell->call($input, \@own);
        push @next, @$after;
    }
    return ($input, \@next);
}

method unroll(
    Int $length, $inputs,
    Maybe [ArrayRef] : $begin_state =,
    Str : $layout = 'NTC',
    Maybe [Bool] : $merge_outputs =,
    : $valid_length =)
{
    $self->reset;
    my @left = @{ $begin_state // $self->_first_states($inputs, $layout) };
    my @cells = $self->_cells;
    my @next;
    for my $i (0 .. $#cells) {
        my @own = splice @left, 0, scalar @{ $cells[$i]->state_info };
        ($inputs, my $after) = $cells[$i]->unroll(
            $length, $inputs,
            begin_state => \@own,
            layout => $layout,
            merge_outputs => $i < $#cells ? undef : $merge_outputs,
            valid_length => $valid_length
        );
        push @next, @$after;
    }
    return ($inputs, \@next);
}

sub _text
{
    my $self = shift;
    my $i = 0;
    return $self->class . "(\n" . join('', map { '(' . $i++ . "): $_\n" } @$self) . ')';
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::DropoutCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::HybridRecurrentCell';

has rate => (is => 'ro', isa => 'Dropout', required => 1);

sub python_constructor_arguments { return ['rate'] }

sub _alias { return 'dropout' }

sub hybrid_forward
{
    my ($self, $F, $input, $states) = @_;
    $input = $F->Dropout($input, p => $self->{rate}, name => "t$self->{_step_counter}_fwd") if $self->{rate} > 0;
    return ($input, $states);
}

sub _text { return "DropoutCell(rate =$_[0]{rate})" }

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

# Cells that change what another cell does. The states are the other's.
package AI::MXNet::Gluon::RNN::ModifierCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::HybridRecurrentCell';

has base_cell => (is => 'rw', isa => 'AI::MXNet::Gluon::Block', required => 1);

sub python_constructor_arguments { return ['base_cell'] }

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my $arg = $class->$orig(@args);
    my $base = $arg->{base_cell};
    if (ref $base and $base->can('state_info')) {
        $class->_check_base($base);
        $arg->{prefix} //= $base->prefix . $class->_alias;
    }
    return $arg;
};

sub _check_base
{
    my ($class, $base) = @_;
    AI::MXNet::Keshi::fail('Cell ' . $base->name . ' is already modified. One cell cannot be modified twice')
        if $base->{_modified};
    return;
}

sub BUILD
{
    my $self = shift;
    $self->base_cell->{_modified} = 1;
    return;
}

sub params { return $_[0]{base_cell}->params }
sub state_info { my ($self, @args) = @_; return $self->{base_cell}->state_info(@args) }

# The base cell is not refused while its modifier uses it.
sub _with_base
{
    my ($self, $code) = @_;
    my $base = $self->{base_cell};
    local $base->{_modified} = 0;
    return $code->($base);
}

sub begin_state
{
    my ($self, @args) = @_;
    $self->_check_not_modified;
    return $self->_with_base(sub { $_[0]->begin_state(@args) });
}

sub _text { return $_[0]->class . "($_[0]{base_cell})" }

package AI::MXNet::Gluon::RNN::ZoneoutCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::RNN::ModifierCell';

has [qw(zoneout_outputs zoneout_states)] => (is => 'ro', isa => 'Dropout', default => 0);

sub python_constructor_arguments { return [qw(base_cell zoneout_outputs zoneout_states)] }

sub _alias { return 'zoneout' }

sub _check_base
{
    my ($class, $base) = @_;
    AI::MXNet::Keshi::fail("BidirectionalCell doesn't support zoneout since it doesn't support step. "
            . 'Please add ZoneoutCell to the cells underneath instead.')
        if $base->isa('AI::MXNet::Gluon::RNN::BidirectionalCell');
    return $class->SUPER::_check_base($base);
}

after reset => sub {
    my $self = shift;
    $self->{_previous} = undef;
    return;
};

sub hybrid_forward
{
    my ($self, $F, $input, $states) = @_;
    my ($output, $next) = $self->{base_cell}->call($input, $states);
    my $mixed = sub {
        my ($rate, $new, $old) = @_;
        return $new if not $rate;
        return $F->where($F->Dropout($F->ones_like($new), p => $rate), $new, $old // $F->zeros_like($new));
    };
    $output = $mixed->($self->{zoneout_outputs}, $output, $self->{_previous});
    $self->{_previous} = $output if $self->{zoneout_outputs};
    return ($output, [map { $mixed->($self->{zoneout_states}, $next->[$_], $states->[$_]) } 0 .. $#$next]);
}

sub _text { return "ZoneoutCell(p_out=$_[0]{zoneout_outputs}, p_state=$_[0]{zoneout_states}, $_[0]{base_cell})" }

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::ResidualCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
use AI::MXNet::Function::Parameters;
extends 'AI::MXNet::Gluon::RNN::ModifierCell';

sub hybrid_forward
{
    my ($self, $F, $input, $states) = @_;
    my ($output, $next) = $self->{base_cell}->call($input, $states);
    return ($F->elemwise_add($output, $input, name => "t$self->{_step_counter}_fwd"), $next);
}

method unroll(
    Int $length, $inputs,
    Maybe [ArrayRef] : $begin_state =,
    Str : $layout = 'NTC',
    Maybe [Bool] : $merge_outputs =,
    : $valid_length =)
{
    $self->reset;
    my ($outputs, $states) = $self->_with_base(
        sub {
            $_[0]->unroll(
                $length, $inputs,
                begin_state => $begin_state,
                layout => $layout,
                merge_outputs => 0,
                valid_length => $valid_length
            );
        }
    );
    my $steps = AI::MXNet::Gluon::RNN::Sequence::steps($length, $inputs, $layout);
    $steps = AI::MXNet::Gluon::RNN::Sequence::masked($steps, $layout, $valid_length) if defined $valid_length;
    my $F = AI::MXNet::Gluon::RNN::Sequence::class_of($steps);
    my $sums = [map { $F->elemwise_add($outputs->[$_], $steps->[$_]) } 0 .. $#$steps];
    $sums = AI::MXNet::Gluon::RNN::Sequence::merged($sums, $layout)
        if AI::MXNet::Gluon::RNN::Sequence::is_merged($merge_outputs, $valid_length);
    return ($sums, $states);
}

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

package AI::MXNet::Gluon::RNN::BidirectionalCell;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
use AI::MXNet::Function::Parameters;
extends 'AI::MXNet::Gluon::RNN::HybridRecurrentCell';
with 'AI::MXNet::Gluon::RNN::Several';

has [qw(l_cell r_cell)] => (is => 'rw', isa => 'AI::MXNet::Gluon::Block', required => 1);
has output_prefix => (is => 'ro', isa => 'Str', default => 'bi_');

sub python_constructor_arguments { return [qw(l_cell r_cell output_prefix)] }

around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    my $arg = $class->$orig(@args);
    $arg->{prefix} //= '';
    return $arg;
};

sub forward { return AI::MXNet::Keshi::fail('Bidirectional cell cannot be stepped. Please use unroll') }

sub _cells { return ($_[0]->l_cell, $_[0]->r_cell) }

method unroll(
    Int $length, $inputs,
    Maybe [ArrayRef] : $begin_state =,
    Str : $layout = 'NTC',
    Maybe [Bool] : $merge_outputs =,
    : $valid_length =)
{
    $self->reset;
    my @right = @{ $begin_state // $self->_first_states($inputs, $layout) };
    my @left = splice @right, 0, scalar @{ $self->l_cell->state_info };
    my $steps = AI::MXNet::Gluon::RNN::Sequence::steps($length, $inputs, $layout);
    my @common = (layout => $layout, merge_outputs => 0, valid_length => $valid_length);
    my ($forward, $l_states) = $self->l_cell->unroll($length, $steps, begin_state => \@left, @common);
    my $reversed = AI::MXNet::Gluon::RNN::Sequence::reversed($steps, $valid_length);
    my ($backward, $r_states) = $self->r_cell->unroll($length, $reversed, begin_state => \@right, @common);
    $backward = AI::MXNet::Gluon::RNN::Sequence::reversed($backward, $valid_length);
    my $F = AI::MXNet::Gluon::RNN::Sequence::class_of($steps);
    my $prefix = $self->output_prefix;
    my $outputs;

    if (AI::MXNet::Gluon::RNN::Sequence::is_merged($merge_outputs, $valid_length)) {
        my @both = map { AI::MXNet::Gluon::RNN::Sequence::merged($_, $layout) } $forward, $backward;
        $outputs = $F->concat(@both, dim => 2, name => "${prefix}out");
    } else {
        $outputs =
            [map { $F->concat($forward->[$_], $backward->[$_], dim => 1, name => "${prefix}t$_") } 0 .. $#$forward];
    }
    return ($outputs, [@$l_states, @$r_states]);
}

sub _text { return "BidirectionalCell(forward=$_[0]{l_cell}, backward=$_[0]{r_cell})" }

__PACKAGE__->register('AI::MXNet::Gluon::RNN');

1;
