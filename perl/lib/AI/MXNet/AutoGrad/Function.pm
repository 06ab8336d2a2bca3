package AI::MXNet::AutoGrad::Function;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

use overload
    '&{}' => sub {
    my $self = shift;
    return sub { $self->call(@_) }
    },
    'bool' => sub { 1 },
    'eq' => sub { overload::StrVal($_[0]) eq (ref $_[1] ? overload::StrVal($_[1]) : $_[1]) },
    '""' => sub { overload::StrVal($_[0]) };

sub new
{
    my ($class, %fields) = @_;
    return bless {%fields}, $class;
}

sub forward { return AI::MXNet::Keshi::fail((ref $_[0] || $_[0]) . ': want a method forward') }
sub backward { return AI::MXNet::Keshi::fail((ref $_[0] || $_[0]) . ': want a method backward') }

# Each call works on a copy of the object, so that what one call saves is not another's.
sub call
{
    my ($self, @inputs) = @_;
    my $class = ref $self;
    for my $i (0 .. $#inputs) {
        $inputs[$i] = $inputs[$i]->sever
            if blessed($inputs[$i])
            and $inputs[$i]->isa('AI::MXNet::NDArray::Slice');
        AI::MXNet::Keshi::fail("$class: input $i is " . ($inputs[$i] // 'undef') . ', want an AI::MXNet::NDArray')
            if not blessed($inputs[$i])
            or not $inputs[$i]->isa('AI::MXNet::NDArray');
    }
    my $round = bless { %$self, _saved => [] }, $class;
    my (@outputs, $single, $is_list);
    AI::MXNet::AutoGrad->pause(
        sub {
            my @returned = $round->forward(@inputs);
            $single = @returned == 1 && ref $returned[0] ne 'ARRAY';
            $is_list = @returned > 1;
            @outputs = @returned == 1 && !$single ? @{ $returned[0] } : @returned;
        },
        train_mode => AI::MXNet::AutoGrad->is_training
    );
    for my $output (@outputs) {
        AI::MXNet::Keshi::fail("$class: forward returned " . ($output // 'undef') . ', want AI::MXNet::NDArray objects')
            if not blessed($output)
            or not $output->isa('AI::MXNet::NDArray');
    }
    my $keep = $round->_leave_outputs(\@outputs);
    my @recorded = AI::MXNet::Keshi::record_function($round, \@inputs, \@outputs, $keep);
    return $recorded[0] if $single;
    return $is_list && wantarray ? @recorded : \@recorded;
}

# A saved output is remembered by its number: the tape keeps it, since the object would keep it alive for ever.
sub _leave_outputs
{
    my ($self, $outputs) = @_;
    my %number = map { $outputs->[$_]->handle => $_ } 0 .. $#$outputs;
    my $keep = 0;
    for my $saved (@{ $self->{_saved} }) {
        my $number = $number{ $saved->{array}->handle };
        next if not defined $number;
        $saved = { output => $number };
        $keep = 1;
    }
    return $keep;
}

sub save_for_backward
{
    my ($self, @arrays) = @_;
    $self->{_saved} = [map { { array => $_, version => AI::MXNet::Keshi::version($_) } } @arrays];
    return;
}

sub saved_tensors
{
    my $self = shift;
    my @arrays;
    for my $saved (@{ $self->{_saved} // [] }) {
        if (exists $saved->{output}) {
            push @arrays, $self->{_outputs}[$saved->{output}];
            next;
        }
        AI::MXNet::Keshi::fail(ref($self) . ": $saved->{array} was saved for backward but changed in place")
            if AI::MXNet::Keshi::version($saved->{array}) != $saved->{version};
        push @arrays, $saved->{array};
    }
    return wantarray ? @arrays : \@arrays;
}

# What the tape calls.
sub _go_back
{
    my ($self, $grads, $outputs) = @_;
    local $self->{_outputs} = $outputs;
    my @returned = $self->backward(@$grads);
    return [@returned == 1 && ref $returned[0] eq 'ARRAY' ? @{ $returned[0] } : @returned];
}

1;

__END__

=head1 NAME

AI::MXNet::AutoGrad::Function - a function whose gradient is written in Perl

=head1 SYNOPSIS

    use AI::MXNet qw(mx);

    package Sigmoid;
    use parent -norequire, 'AI::MXNet::AutoGrad::Function';

    sub forward
    {
        my ($self, $x) = @_;
        my $y = 1 / (1 + exp(-$x));
        $self->save_for_backward($y);
        return $y;
    }

    sub backward
    {
        my ($self, $dy) = @_;
        my ($y) = $self->saved_tensors;
        return $dy * $y * (1 - $y);
    }

    package main;
    my $x = nd->array([-1, 0, 1]);
    $x->attach_grad;
    my $sigmoid = Sigmoid->new;
    my $y;
    autograd->record(sub { $y = $sigmoid->($x) });
    $y->backward;
    print $x->grad->aspdl, "\n";

=head1 DESCRIPTION

A subclass defines C<forward> and C<backward>; an object of it is called like a sub, or with C<call>.

=over 4

=item new(%fields)

An object with these fields, for what is no array.

=item forward(@inputs)

Computes and returns an array, a list of several, or a reference to a list; the call gives the same, and in scalar context a
reference for a list. What it computes with is not recorded, and may be
anything: PDL, C code, another library.

=item backward(@output_gradients)

Gets the gradient of each output, zeros for one that nothing depended on, and returns the gradient of each input: an array of
its shape and dtype, or undef for none. What it computes is recorded when the gradient is to be differentiated again, so that
second order works.

=item save_for_backward(@arrays), saved_tensors

Keeps inputs, outputs or others from C<forward> to C<backward>. Outputs must be kept this way, and not as fields of the
object: fields would keep them alive for ever. An array that was changed in place meanwhile is an error.

=back

Each call works on a copy of the object: fields that C<forward> sets are there in the C<backward> of the same call, and nowhere
else.

=head1 DIAGNOSTICS

What dies in C<backward> is the error of the backward pass. Gradients that do not fit the inputs are named.

=head1 SEE ALSO

L<AI::MXNet::AutoGrad>

=cut
